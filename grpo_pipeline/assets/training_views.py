"""What the UI shows of a policy: its curves and numbers, never a sample."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import polars as pl

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.candidates import TrainedCandidate, candidates_of
from grpo_pipeline.assets.reporting import picture, table_of
from grpo_pipeline.gates.training_health import health_summary
from grpo_pipeline.plots import training_curves


def read_metrics(candidate: TrainedCandidate) -> list[dict[str, Any]]:
    """Every step's metrics of one candidate's training, in order."""
    path = candidate.folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def training_views(policy: Artifact) -> dict[str, Any]:
    """Whether a policy was trained, its version, reward curves and health numbers."""
    manifest = policy.manifest
    if not manifest["trained"]:
        return {"trained": False}
    found = candidates_of(policy)
    curves = {candidate.folder: read_metrics(candidate) for candidate in found}
    pictures = [
        picture(training_curves(curves[candidate.folder]), _title(candidate, policy))
        for candidate in found
        # What SFT shows is the first part of what stands beside it.
        if candidate.folder == policy.path or candidate.method != "sft"
    ]
    return {
        **{title: drawn for shown in pictures for title, drawn in shown.items()},
        "trained": True,
        "version": manifest["version"],
        "methods": table_of(pl.DataFrame([_line(candidate) for candidate in found])),
        "base model": manifest["base_model"]["name"],
        **_reward_model(manifest),
        "training seconds": float(sum(manifest["seconds"].values())),
        "model card": dg.MetadataValue.md((policy.path / "README.md").read_text(encoding="utf-8")),
        **health_summary(curves.get(policy.path, [])),
    }


def _reward_model(manifest: dict[str, Any]) -> dict[str, str]:
    """What became of the week's reward model; a policy trained on a verifiable reward alone was offered none."""
    stated = manifest.get("reward_model")
    return {"reward model": stated["reason"]} if stated else {}


def _title(candidate: TrainedCandidate, policy: Artifact) -> str:
    return "training curves" if candidate.folder == policy.path else f"training curves of {candidate.method}"


def _line(candidate: TrainedCandidate) -> dict[str, Any]:
    """What one method did, as a row of the table of methods."""
    facts = candidate.facts
    return {
        "method": candidate.method,
        "version": candidate.version,
        "steps": sum(facts["steps"].values()),
        "pair reads": facts.get("pair_reads"),
        "seconds": float(sum(facts["seconds"].values())),
    }
