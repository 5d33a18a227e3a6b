"""Whether a week trains: which pairs the last trained week had already, whether the new ones are enough, and, where a
person has to, whether one let this very dataset train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.config import load_settings
from grpo_pipeline.dataset.verdict import new_pairs_verdict
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.sign_offs import SignOff, SignOffs
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week

PAIR_IDS = "pair_ids.parquet"


@dataclass(frozen=True)
class KnownPairs:
    """The pairs that the last trained week before a given one had; no week where none was trained."""

    week: Week | None
    ids: frozenset[str]


def known_pairs(artifacts: ArtifactStore, registry: ModelRegistry, before: Week) -> KnownPairs:
    """The pairs that the latest policy of an earlier week was trained on, and those held out or excluded then.

    Raises:
        PipelineError: the registry knows the policy, but its files are not where it says.
    """
    model = registry.last_trained(before)
    if model is None or model.adapter_location is None:
        return KnownPairs(None, frozenset())
    path = Path(model.adapter_location).parent / PAIR_IDS
    if not path.exists():
        raise PipelineError(
            f"The policy {model.version} is in the model registry, but {path} is missing: restore the artifact store "
            "it was written to, or point GRPO_ARTIFACT_ROOT to it."
        )
    trained = pl.read_parquet(path, columns=["pair_id"])["pair_id"]
    dataset = artifacts.latest("preference_dataset", model.week.key)
    others = pair_ids(dataset, "held_out", "excluded") if dataset else []
    return KnownPairs(model.week, frozenset([*trained, *others]))


def pair_ids(dataset: Artifact, *parts: str) -> list[str]:
    """The ids of the pairs in parts of a dataset: train, held_out, excluded."""
    frames = (pl.read_parquet(dataset.path / f"{part}.parquet", columns=["id"]) for part in parts)
    return [pair_id for frame in frames for pair_id in frame["id"]]


def training_decision(
    dataset: Artifact, artifacts: ArtifactStore, registry: ModelRegistry, sign_offs: SignOffs, week: Week
) -> Verdict:
    """Whether the week trains, decided on what is trained and signed off by now: the dataset may be older than that."""
    stated = dataset.manifest["verdict"]
    if stated["status"] == "fail":
        return Verdict("fail", stated["reason"])
    known = known_pairs(artifacts, registry, week)
    verdict = new_pairs_verdict(pair_ids(dataset, "train", "held_out"), known.ids, stated["min_new_pairs"], known.week)
    if not verdict.passed or load_settings().curation.review != "required":
        return verdict
    return unsigned(week, dataset.manifest["dataset_hash"], sign_offs.last(week)) or verdict


def unsigned(week: Week, dataset_hash: str, signed: SignOff | None) -> Verdict | None:
    """Why a dataset may not train where a person has to sign it off; None where one did."""
    if signed is not None and signed.covers(dataset_hash):
        return None
    why = f"signed off was {signed.dataset_hash}" if signed else "nobody signed it off"
    return Verdict(
        "skipped",
        f"Dataset {dataset_hash} waits for a person: {why}. Sign off on the review page /week/{week.key}, then train "
        "the week again.",
    )
