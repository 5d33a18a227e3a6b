"""What the UI shows of the tool-calling evaluation: shares and differences, never an answer."""

from __future__ import annotations

from typing import Any

import polars as pl

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.reporting import table_of
from grpo_pipeline.tool_calling.scoring import ALL


def evaluation_views(evaluation: Artifact) -> dict[str, Any]:
    """Right answers by model and category, each model against the one before, and the failures by kind."""
    manifest = evaluation.manifest
    shares = [
        {"model": model, "category": category, **row}
        for model, found in manifest["shares"].items()
        for category, row in found.items()
    ]
    differences = [
        {"models": models, "category": category, **row}
        for models, found in manifest["differences"].items()
        for category, row in found.items()
    ]
    failures = [
        {"model": model, "failure": kind, "answers": count}
        for model, kinds in manifest["failures"].items()
        for kind, count in kinds.items()
    ]
    numbers = {f"right ({model})": float(found[ALL]["share"]) for model, found in manifest["shares"].items()}
    tables = {"right answers": shares, "differences": differences, "failures": failures}
    return {**{name: table_of(pl.DataFrame(rows)) for name, rows in tables.items() if rows}, **numbers}
