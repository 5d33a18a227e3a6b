"""A version's stored evaluation: its numbers, its plots, and the answers side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.gates.metrics import BY_NAME, CANDIDATE
from grpo_pipeline.plots import evaluation_intervals
from grpo_pipeline.registry.model_version import ModelVersion

ORDER = ("base", "incumbent")
PROMPTS_A_PAGE = 10


@dataclass(frozen=True)
class StoredEvaluation:
    """What is kept of a version's evaluation.

    Attributes:
        chosen: whether the version is the candidate that the numbers are about, the best of its week.
        player: what the version is called among the scores and answers.
        content: `evaluation.json`.
        artifact: where it is.
    """

    chosen: bool
    player: str
    content: Mapping[str, Any]
    artifact: Artifact

    @property
    def plots(self) -> dict[str, bytes]:
        """The levels of every model on held-out pairs and in the regression suite, as PNGs by title."""
        rows: list[Mapping[str, Any]] = self.content["levels"]
        parts = {
            "Held-out pairs": [row for row in rows if not BY_NAME[row["metric"]].probe],
            "Regression suite": [row for row in rows if BY_NAME[row["metric"]].probe],
        }
        drawn = {title: evaluation_intervals(part) for title, part in parts.items()}
        return {title: png for title, png in drawn.items() if png}


@dataclass(frozen=True)
class SideBySide:
    """One held-out prompt: what each model answered, and what a user wished for.

    Attributes:
        prompt: its messages.
        answers: (model, answer), of the base model first.
        chosen: the correction.
        rejected: the answer that it corrected.
    """

    prompt: Sequence[Mapping[str, str]]
    answers: Sequence[tuple[str, str]]
    chosen: str
    rejected: str


def stored_evaluation(artifacts: ArtifactStore, model: ModelVersion) -> StoredEvaluation | None:
    """The evaluation of a version; None where its week was not evaluated, or again with other candidates since."""
    found = artifacts.latest("policy_evaluation", model.week.key)
    if found is None or model.version not in found.manifest.get("candidates", {}):
        return None
    content = json.loads((found.path / "evaluation.json").read_text(encoding="utf-8"))
    method = found.manifest["candidates"][model.version]["method"]
    names = set(content["models"])
    player = method if method in names else CANDIDATE
    return StoredEvaluation(found.manifest["candidate"] == model.version, player, content, found)


def side_by_side(artifacts: ArtifactStore, evaluation: StoredEvaluation, page: int) -> tuple[list[SideBySide], int]:
    """The answers of base model, incumbent and the version to some held-out prompts, and how many prompts there are.

    Prompts that were erased or are not in the week's dataset any more are left out.

    Args:
        artifacts: the store.
        evaluation: the version's.
        page: from 0.
    """
    dataset = artifacts.latest("preference_dataset", evaluation.artifact.week)
    path = evaluation.artifact.path / "answers.parquet"
    if dataset is None or not path.exists():
        return [], 0
    answers = pl.read_parquet(path).filter(pl.col("sample") == 0)
    pairs = pl.read_parquet(dataset.path / "held_out.parquet", columns=["id", "prompt", "chosen", "rejected"])
    pairs = pairs.filter(pl.col("id").is_in(answers["pair_id"].to_list())).sort("id")
    shown = pairs.slice(page * PROMPTS_A_PAGE, PROMPTS_A_PAGE).to_dicts()
    names = [*ORDER, evaluation.player]
    said = {(row["pair_id"], row["model"]): row["answer"] for row in answers.to_dicts()}
    found = [
        SideBySide(
            prompt=pair["prompt"],
            answers=[(name, said[pair["id"], name]) for name in names if (pair["id"], name) in said],
            chosen=pair["chosen"][-1]["content"],
            rejected=pair["rejected"][-1]["content"],
        )
        for pair in shown
    ]
    return found, len(pairs)
