"""Which pairs the last trained week had already, so that only new ones count, and whether they are enough."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.dataset.verdict import new_pairs_verdict
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week

PAIR_IDS = "pair_ids.parquet"


@dataclass(frozen=True)
class TrainedPairs:
    """The training pairs of the last trained week before a given one; no week where none was trained."""

    week: Week | None
    ids: frozenset[str]


def last_trained_pairs(registry: ModelRegistry, before: Week) -> TrainedPairs:
    """The pairs of the latest policy of an earlier week, whatever became of it.

    Raises:
        PipelineError: the registry knows the policy, but its files are not where it says.
    """
    model = registry.last_trained(before)
    if model is None or model.adapter_location is None:
        return TrainedPairs(None, frozenset())
    path = Path(model.adapter_location).parent / PAIR_IDS
    if not path.exists():
        raise PipelineError(
            f"The policy {model.version} is in the model registry, but {path} is missing: restore the artifact store "
            "it was written to, or point GRPO_ARTIFACT_ROOT to it."
        )
    return TrainedPairs(model.week, frozenset(pl.read_parquet(path, columns=["pair_id"])["pair_id"]))


def training_decision(dataset: Artifact, registry: ModelRegistry, week: Week) -> Verdict:
    """Whether the week trains, decided on what is trained by now: the dataset may be older than that."""
    stated = dataset.manifest["verdict"]
    if stated["status"] == "fail":
        return Verdict("fail", stated["reason"])
    trained = last_trained_pairs(registry, week)
    ids = pl.read_parquet(dataset.path / "train.parquet", columns=["id"])["id"].to_list()
    return new_pairs_verdict(ids, trained.ids, stated["min_new_pairs"], trained.week)
