"""A promotion verdict as people read it (Markdown) and as programs do (JSON); neither holds any user text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from grpo_pipeline.gates.comparisons import COMPARISONS_SCHEMA, LEVELS_SCHEMA
from grpo_pipeline.gates.contest import Contest, contest_table
from grpo_pipeline.gates.metrics import BY_NAME, MODELS
from grpo_pipeline.gates.verdict import PromotionVerdict

HEADINGS = {"pass": "Promote", "fail": "Refuse", "inconclusive": "Keep the incumbent: inconclusive"}


def verdict_json(verdict: PromotionVerdict) -> dict[str, Any]:
    """What `evaluation.json` holds of a verdict: numbers, names and the reason."""
    return {
        "verdict": verdict.verdict.as_manifest(),
        "pairs": verdict.pairs,
        "contributors": verdict.contributors,
        "minimum_detectable_effect": verdict.minimum_detectable_effect,
        "levels": verdict.table.to_dicts(),
        "comparisons": verdict.comparisons.to_dicts(),
    }


def contest_json(contest: Contest) -> dict[str, Any]:
    """What `evaluation.json` holds of a week's candidates: the chosen one's numbers, every verdict, and the table."""
    return {
        **verdict_json(contest.verdicts[contest.chosen]),
        "verdict": contest.verdict.as_manifest(),
        "method": contest.chosen,
        "candidates": {name: verdict.verdict.as_manifest() for name, verdict in contest.verdicts.items()},
        "contest": contest_table(contest).to_dicts(),
    }


def stored_verdict(content: Mapping[str, Any]) -> PromotionVerdict:
    """The verdict that an `evaluation.json` holds."""
    return PromotionVerdict(
        **content["verdict"],
        table=pl.DataFrame(content["levels"], schema=LEVELS_SCHEMA),
        comparisons=pl.DataFrame(content["comparisons"], schema=COMPARISONS_SCHEMA),
        minimum_detectable_effect=content["minimum_detectable_effect"],
        pairs=content["pairs"],
        contributors=content["contributors"],
    )


def verdict_markdown(verdict: PromotionVerdict) -> str:
    """The decision, the levels of every model and the differences as Markdown."""
    lines = [f"**{HEADINGS.get(verdict.status, verdict.status)}.** {verdict.reason}", ""]
    return "\n".join([*lines, *_level_lines(verdict.table), "", *_difference_lines(verdict.comparisons)])


def _level_lines(table: pl.DataFrame) -> list[str]:
    present = set(table["model"].unique())
    models = [model for model in MODELS if model in present]
    cells = {
        (metric, model): f"{mean:.3g}{_span(low, high)}"
        for metric, model, mean, low, high in table.select("metric", "model", "mean", "low", "high").iter_rows()
    }
    lines = [f"| metric | {' | '.join(models)} |", "|---" * (len(models) + 1) + "|"]
    for metric in table["metric"].unique(maintain_order=True):
        row = " | ".join(cells.get((metric, model), "") for model in models)
        lines.append(f"| {BY_NAME[metric].label} | {row} |")
    return lines


def _difference_lines(comparisons: pl.DataFrame) -> list[str]:
    lines = [
        "| candidate minus | metric | role | difference | says | smallest that could show |",
        "|---|---|---|---|---|---|",
    ]
    for row in comparisons.sort("against", descending=True, maintain_order=True).iter_rows(named=True):
        difference = f"{row['difference']:+.3g}{_span(row['low'], row['high'], '+')}"
        reach = "" if row["detectable_effect"] is None else f"{row['detectable_effect']:.3g}"
        lines.append(f"| {row['against']} | {row['label']} | {row['role']} | {difference} | {row['state']} | {reach} |")
    return lines


def _span(low: float | None, high: float | None, sign: str = "") -> str:
    return "" if low is None or high is None else f" ({low:{sign}.3g} to {high:{sign}.3g})"
