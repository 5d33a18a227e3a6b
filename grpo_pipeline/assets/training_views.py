"""What the UI shows of a policy: its curves and numbers, never a sample."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.reporting import picture
from grpo_pipeline.gates.training_health import health_summary
from grpo_pipeline.plots import training_curves


def read_metrics(policy: Artifact) -> list[dict[str, Any]]:
    """Every training step's metrics, in order; none where nothing was trained."""
    path = policy.path / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def training_views(policy: Artifact) -> dict[str, Any]:
    """Whether a policy was trained, its version, reward curves and health numbers."""
    manifest = policy.manifest
    if not manifest["trained"]:
        return {"trained": False}
    metrics = read_metrics(policy)
    return {
        **picture(training_curves(metrics), "training curves"),
        "trained": True,
        "version": manifest["version"],
        "base model": manifest["base_model"]["name"],
        "training seconds": float(sum(manifest["seconds"].values())),
        "model card": dg.MetadataValue.md((policy.path / "README.md").read_text(encoding="utf-8")),
        **health_summary(metrics),
    }
