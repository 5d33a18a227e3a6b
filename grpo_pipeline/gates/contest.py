"""Several candidates of one week on the same pairs: each is judged like one alone, and the best that passes is taken.

The more candidates there are, the likelier one of them looks better by luck, so the confidence is shared among them
(Bonferroni): with three candidates and 95 % each must show its improvement at 98.33 %.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from grpo_pipeline.gates.metrics import BASE, BY_NAME, CANDIDATE, INCUMBENT
from grpo_pipeline.gates.verdict import PromotionVerdict
from grpo_pipeline.verdict import Verdict

CONTEST_SCHEMA = {
    "method": pl.String,
    "metric": pl.String,
    "label": pl.String,
    "level": pl.Float64,
    "level_low": pl.Float64,
    "level_high": pl.Float64,
    "against": pl.String,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "confidence": pl.Float64,
    "pairs": pl.Int64,
    "contributors": pl.Int64,
    "verdict": pl.String,
}
PREFERENCE = ("pass", "inconclusive", "fail")


@dataclass(frozen=True)
class Contest:
    """The verdicts on a week's candidates by method, from the simplest on, and which of them is put forward."""

    verdicts: Mapping[str, PromotionVerdict]
    chosen: str

    @property
    def verdict(self) -> Verdict:
        """The decision on the week: the chosen candidate's, and in a word what became of the others."""
        own = self.verdicts[self.chosen]
        others = [f"{name} {verdict.status}" for name, verdict in self.verdicts.items() if name != self.chosen]
        if not others:
            return own.verdict
        return Verdict(own.status, f"{self.chosen}: {own.reason} Other methods: {', '.join(others)}.")


def hold_contest(
    scores: pl.DataFrame,
    models: Mapping[str, str],
    judge: Callable[[pl.DataFrame, int], PromotionVerdict],
    metric: str,
) -> Contest:
    """Judge every candidate on its own, and choose one.

    Args:
        scores: columns as for `promotion_verdict`; `model` also names the candidates.
        models: each method's name in `scores`, from the simplest method on.
        judge: the verdict on the scores of base, incumbent and one candidate of so many.
        metric: the one by which those that pass are told apart.
    """
    rivals = set(models.values())
    verdicts = {}
    for method, model in models.items():
        own = scores.filter(~pl.col("model").is_in(rivals - {model}))
        own = own.with_columns(pl.col("model").replace(model, CANDIDATE))
        verdicts[method] = judge(own, len(models))
    return Contest(verdicts, choose(verdicts, metric))


def choose(verdicts: Mapping[str, PromotionVerdict], metric: str) -> str:
    """The candidate with the best verdict; of several, the one with the largest gain in the metric over the incumbent.

    Where they gain the same, it is the first: the simplest.
    """
    return min(verdicts, key=lambda name: (PREFERENCE.index(verdicts[name].status), -_gain(verdicts[name], metric)))


def _gain(verdict: PromotionVerdict, metric: str) -> float:
    rows = {row["against"]: row for row in verdict.comparisons.filter(pl.col("metric") == metric).iter_rows(named=True)}
    row = rows.get(INCUMBENT) or rows.get(BASE)
    # Rounded, so that the order of a sum decides nothing.
    return round(BY_NAME[metric].better * row["difference"], 9) if row else float("-inf")


def contest_table(contest: Contest) -> pl.DataFrame:
    """One row per method and metric: level, difference from the incumbent (from base where there is none), verdict.

    The models they are compared with stand first, with their levels alone.
    """
    rows: list[dict[str, Any]] = []
    for method, verdict in contest.verdicts.items():
        found = {(row["metric"], row["against"]): row for row in verdict.comparisons.iter_rows(named=True)}
        against = INCUMBENT if any(model == INCUMBENT for _, model in found) else BASE
        for level in verdict.table.iter_rows(named=True):
            compared = level["model"] == CANDIDATE
            if not compared and method != next(iter(contest.verdicts)):
                continue
            difference = found.get((level["metric"], against)) if compared else None
            name = method if compared else level["model"]
            rows.append(_row(name, level, difference, verdict.status if compared else None))
    order = [BASE, INCUMBENT, *contest.verdicts]
    rows.sort(key=lambda row: order.index(row["method"]))
    return pl.DataFrame(rows, schema=CONTEST_SCHEMA)


def _row(
    method: str, level: Mapping[str, Any], difference: Mapping[str, Any] | None, status: str | None
) -> dict[str, Any]:
    return {
        "method": method,
        "metric": level["metric"],
        "label": level["label"],
        "level": level["mean"],
        "level_low": level["low"],
        "level_high": level["high"],
        "against": difference["against"] if difference else None,
        "difference": difference["difference"] if difference else None,
        "difference_low": difference["low"] if difference else None,
        "difference_high": difference["high"] if difference else None,
        "confidence": (difference or level)["confidence"],
        "pairs": level["pairs"],
        "contributors": level["contributors"],
        "verdict": status,
    }


def contest_markdown(table: pl.DataFrame, metrics: Sequence[str]) -> str:
    """The table of the metrics that decide, as Markdown."""
    lines = ["| method | metric | level | difference | verdict |", "|---|---|---|---|---|"]
    for row in table.filter(pl.col("metric").is_in(metrics)).iter_rows(named=True):
        difference = ""
        if row["difference"] is not None:
            ends = (row["difference_low"], row["difference_high"])
            span = "" if None in ends else f" ({100 * row['confidence']:.4g} %: {ends[0]:+.3g} to {ends[1]:+.3g})"
            difference = f"{row['difference']:+.3g} against {row['against']}{span}"
        lines.append(
            f"| {row['method']} | {row['label']} | {row['level']:.3g} | {difference} | {row['verdict'] or ''} |"
        )
    return "\n".join(lines)
