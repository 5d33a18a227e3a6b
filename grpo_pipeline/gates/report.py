"""A promotion verdict as people read it (Markdown) and as programs do (JSON); neither holds any user text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from grpo_pipeline.gates.contest import Contest, contest_table
from grpo_pipeline.gates.evidence import Evidence
from grpo_pipeline.gates.metrics import BY_NAME, MODELS
from grpo_pipeline.gates.tables import COMPARISONS_SCHEMA, LEVELS_SCHEMA, WEEKS_SCHEMA
from grpo_pipeline.gates.verdict import PromotionVerdict

HEADINGS = {"pass": "Promote", "fail": "Refuse", "inconclusive": "Keep the incumbent: inconclusive"}


def verdict_json(verdict: PromotionVerdict) -> dict[str, Any]:
    """What `evaluation.json` holds of a verdict: numbers, names and the reason."""
    return {
        "verdict": verdict.verdict.as_manifest(),
        "pairs": verdict.pairs,
        "contributors": verdict.contributors,
        "weeks": verdict.weeks,
        "evidence": asdict(verdict.evidence) if verdict.evidence else None,
        "minimum_detectable_effect": verdict.minimum_detectable_effect,
        "levels": verdict.table.to_dicts(),
        "comparisons": verdict.comparisons.to_dicts(),
        "by_week": verdict.by_week.to_dicts(),
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
        by_week=pl.DataFrame(content["by_week"], schema=WEEKS_SCHEMA),
        evidence=Evidence(**content["evidence"]) if content["evidence"] else None,
        minimum_detectable_effect=content["minimum_detectable_effect"],
        pairs=content["pairs"],
        contributors=content["contributors"],
        weeks=content["weeks"],
    )


def verdict_markdown(verdict: PromotionVerdict) -> str:
    """The decision, its evidence, the levels of every model, the differences, and the differences by week."""
    lines = [f"**{HEADINGS.get(verdict.status, verdict.status)}.** {verdict.reason}", ""]
    if verdict.evidence:
        lines += [_evidence_line(verdict.evidence), ""]
    lines += [*_level_lines(verdict.table), "", *_difference_lines(verdict.comparisons)]
    if verdict.by_week.height:
        lines += ["", *_week_lines(verdict)]
    return "\n".join(lines)


def _evidence_line(evidence: Evidence) -> str:
    return (
        f"Look {evidence.look} at this incumbent: e-value {evidence.e_value:.3g}, "
        f"{'enough' if evidence.enough else 'too little'} as {evidence.threshold:.3g} is needed."
    )


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
        "| candidate minus | metric | role | difference | margin | says | e-value | smallest that could show |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in comparisons.sort("against", descending=True, maintain_order=True).iter_rows(named=True):
        difference = f"{row['difference']:+.3g}{_span(row['low'], row['high'], '+')}"
        margin = f"{row['margin']:.3g}" if row["role"] == "guard" else ""
        cells = (row["label"], row["role"], difference, margin, row["state"])
        numbers = (_cell(row["e_value"]), _cell(row["detectable_effect"]))
        lines.append(f"| {row['against']} | {' | '.join((*cells, *numbers))} |")
    return lines


def _week_lines(verdict: PromotionVerdict) -> list[str]:
    lines = [
        f"Pooled over {verdict.weeks} weeks of held-out pairs:",
        "",
        "| week of the pairs | metric | candidate minus | pairs | contributors | difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in verdict.by_week.iter_rows(named=True):
        cells = (row["week"], row["label"], row["against"], row["pairs"], row["contributors"])
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} | {row['difference']:+.3g} |")
    return lines


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _span(low: float | None, high: float | None, sign: str = "") -> str:
    return "" if low is None or high is None else f" ({low:{sign}.3g} to {high:{sign}.3g})"
