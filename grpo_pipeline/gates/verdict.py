"""Whether a candidate is promoted: the rules, and the reason in words.

A candidate passes when at least one primary metric is credibly better than the incumbent's (the base model's where
there is no incumbent) and nothing is credibly or apparently worse than the incumbent or the base model.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from grpo_pipeline.gates.comparisons import (
    Comparison,
    checked_scores,
    compare,
    comparison_table,
    levels,
    models_in,
)
from grpo_pipeline.gates.metrics import BASE, INCUMBENT, NON_FINITE
from grpo_pipeline.gates.settings import GateSettings
from grpo_pipeline.verdict import Status, Verdict

MODEL_WORDS = {BASE: "the base model", INCUMBENT: "the incumbent", "candidate": "the candidate"}


@dataclass(frozen=True)
class PromotionVerdict:
    """The decision on one candidate, and every number it rests on."""

    status: Status
    reason: str
    table: pl.DataFrame
    """Every metric's level for every model, see `comparisons.levels`."""
    comparisons: pl.DataFrame
    """Every difference candidate minus other model, see `comparisons.comparison_table`."""
    minimum_detectable_effect: dict[str, float | None]
    """Per primary metric: the smallest improvement over the incumbent that this sample could have shown."""
    pairs: int
    contributors: int

    @property
    def verdict(self) -> Verdict:
        """The decision as a manifest records it."""
        return Verdict(self.status, self.reason)


def promotion_verdict(scores: pl.DataFrame, settings: GateSettings) -> PromotionVerdict:
    """Decide whether the candidate replaces the incumbent.

    Args:
        scores: columns pair_id, contributor, model (base, incumbent, candidate), metric, value, sample, in any order.
        settings: which metrics decide, with what confidence and margins.

    Raises:
        PipelineError: the scores lack a column, a model, or a model's scores on some pairs.
    """
    scores = checked_scores(scores)
    comparisons = compare(scores, settings)
    pairs = scores["pair_id"].n_unique()
    contributors = scores.select(pl.coalesce("contributor", "pair_id")).to_series().n_unique()
    incumbent = INCUMBENT if INCUMBENT in models_in(scores) else BASE
    status, reason = _decide(scores, comparisons, incumbent, (pairs, contributors), settings)
    return PromotionVerdict(
        status,
        reason,
        levels(scores, settings),
        comparison_table(comparisons),
        {item.metric.name: item.detectable for item in comparisons if _decides(item, incumbent)},
        pairs,
        contributors,
    )


def _decides(item: Comparison, incumbent: str) -> bool:
    return item.role == "primary" and item.against == incumbent


def _decide(
    scores: pl.DataFrame,
    comparisons: list[Comparison],
    incumbent: str,
    size: tuple[int, int],
    settings: GateSettings,
) -> tuple[Status, str]:
    broken = _non_finite(scores)
    if broken:
        return "fail", broken
    too_small = _too_small(*size, settings)
    if too_small:
        return "inconclusive", too_small
    worse = [item for item in comparisons if item.state == "worse"]
    if worse:
        return "fail", "Credibly worse: " + "; ".join(_in_words(item) for item in worse) + "."
    improved = [item for item in comparisons if _decides(item, incumbent) and item.state == "better"]
    if not improved:
        return "inconclusive", _nothing_shown(comparisons, incumbent, settings)
    doubts = [item for item in comparisons if item.state == "doubtful"]
    below_base = [item for item in comparisons if item.against == BASE and item.gain < 0 and _metric_in(item, improved)]
    if doubts or below_base:
        better = ", ".join(item.metric.label for item in improved)
        doubted = "; ".join(_in_words(item) for item in doubts + below_base)
        return "inconclusive", f"Better in {better}, but possibly worse elsewhere: {doubted}."
    shown = "; ".join(_in_words(item) for item in improved)
    return "pass", f"Credibly better: {shown}. Nothing is worse by more than its margin."


def _metric_in(item: Comparison, others: list[Comparison]) -> bool:
    return any(item.metric == other.metric for other in others)


def _non_finite(scores: pl.DataFrame) -> str | None:
    counted = (pl.col("metric") == NON_FINITE) & (pl.col("value") > 0)
    bad = scores.filter(counted | pl.col("value").is_nan() | pl.col("value").is_infinite())
    if bad.is_empty():
        return None
    counts = bad.group_by("model").agg(pl.col("pair_id").n_unique()).sort("model")
    named = " and ".join(f"{MODEL_WORDS[model]} on {count}" for model, count in counts.iter_rows())
    return f"Values that are not finite numbers: {named} of {scores['pair_id'].n_unique()} held-out pairs."


def _too_small(pairs: int, contributors: int, settings: GateSettings) -> str | None:
    if pairs >= settings.min_pairs and contributors >= settings.min_contributors:
        return None
    return (
        f"Only {_count(pairs, 'held-out pair')} of {_count(contributors, 'contributor')}: "
        f"at least {settings.min_pairs} pairs of {settings.min_contributors} contributors are needed to decide."
    )


def _nothing_shown(comparisons: list[Comparison], incumbent: str, settings: GateSettings) -> str:
    primaries = [item for item in comparisons if _decides(item, incumbent)]
    judged = [item for item in primaries if item.state != "too few"]
    if not judged:
        most = max((item.interval.pairs for item in primaries), default=0)
        return (
            f"No primary metric could be judged: the best covered has {_count(most, 'pair')}, and at least "
            f"{settings.min_pairs} pairs of {settings.min_contributors} contributors are needed."
        )
    differences = "; ".join(_in_words(item) for item in judged)
    reach = "; ".join(_reach(item) for item in judged)
    return (
        f"No credible improvement over {MODEL_WORDS[incumbent]}: {differences}. "
        f"Smallest improvement that this sample shows with {settings.power:.0%} probability: {reach}."
    )


def _reach(item: Comparison) -> str:
    if item.detectable is None:
        return f"{item.metric.label} cannot be said, both models scored the same on every pair"
    return f"{item.metric.label} {_number(item.detectable)}"


def _in_words(item: Comparison) -> str:
    interval = item.interval
    if interval.low is None or interval.high is None:
        bounds = "no interval"
    else:
        ends = f"{_number(interval.low, True)} to {_number(interval.high, True)}"
        bounds = f"{100 * interval.confidence:.4g} % interval {ends}"
    return (
        f"{item.metric.label} {_number(interval.mean, True)} against {MODEL_WORDS[item.against]} "
        f"({bounds}, {_count(interval.pairs, 'pair')} of {_count(interval.contributors, 'contributor')})"
    )


def _number(value: float, signed: bool = False) -> str:
    return f"{value:{'+' if signed else ''}.3g}" if value else "0"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
