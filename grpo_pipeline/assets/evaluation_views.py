"""What the UI shows of an evaluation: tables of numbers, never an answer."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import polars as pl

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.reporting import picture, table_of
from grpo_pipeline.gates.contest import CONTEST_SCHEMA, contest_markdown
from grpo_pipeline.gates.metrics import BY_NAME
from grpo_pipeline.gates.report import stored_verdict, verdict_markdown
from grpo_pipeline.gates.verdict import PromotionVerdict
from grpo_pipeline.plots import evaluation_intervals


def evaluation_views(evaluation: Artifact) -> dict[str, Any]:
    """The verdict with its tables, and one number per metric and model to follow over the weeks."""
    path = evaluation.path / "evaluation.json"
    if not path.exists():
        return {}
    result = json.loads(path.read_text(encoding="utf-8"))
    verdict = stored_verdict(result)
    numbers = {
        f"{row['metric']} ({row['model']})": float(row["mean"]) for row in result["levels"] if row["mean"] is not None
    }
    probes = [row for row in result["levels"] if BY_NAME[row["metric"]].probe]
    held_out = [row for row in result["levels"] if not BY_NAME[row["metric"]].probe]
    return {
        **picture(evaluation_intervals(held_out), "held-out results"),
        **picture(evaluation_intervals(probes), "regression suite"),
        **_contest(result),
        "candidate": evaluation.manifest["candidate"],
        "incumbent": evaluation.manifest["incumbent"] or "none",
        "decision": dg.MetadataValue.md(verdict_markdown(verdict)),
        "levels": table_of(verdict.table),
        "differences": table_of(verdict.comparisons),
        "differences by week": table_of(verdict.by_week),
        "weeks pooled": verdict.weeks,
        "held-out pairs over the cap": result["over_the_cap"],
        **_evidence_numbers(verdict),
        **numbers,
    }


def _contest(result: dict[str, Any]) -> dict[str, Any]:
    """The methods side by side; nothing for an evaluation from before there were several."""
    if "contest" not in result:
        return {}
    table = pl.DataFrame(result["contest"], schema=CONTEST_SCHEMA)
    decisive = {row["metric"] for row in result["comparisons"] if row["role"] == "primary"}
    return {
        "methods": dg.MetadataValue.md(contest_markdown(table, sorted(decisive))),
        "method": result["method"],
        "contest": table_of(table),
    }


def _evidence_numbers(verdict: PromotionVerdict) -> dict[str, Any]:
    """How much speaks for the candidate, how much this look needs, and which look at the incumbent it is."""
    found = verdict.evidence
    if found is None:
        return {}
    return {"e-value": found.e_value, "e-value needed": found.threshold, "look at this incumbent": found.look}
