"""Would it have helped? The answer for every week and over all weeks, with intervals over the people asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from grpo_pipeline.backtest.next_week import SEEN_PERSON, SEEN_PROMPT
from grpo_pipeline.gates.comparisons import pair_interval
from grpo_pipeline.gates.intervals import Interval
from grpo_pipeline.gates.metrics import BASE, BY_NAME, CANDIDATE, INCUMBENT
from grpo_pipeline.gates.scores import checked_scores, models_in, per_pair
from grpo_pipeline.gates.settings import GateSettings

ALL, UNSEEN = "all pairs", "unseen people and prompts"
GROUPS = (ALL, UNSEEN)
POOLED = "all weeks"
# Whoever was in use then: the champion, or the base model before the first one.
IN_USE = "in use then"
OUTCOME_SCHEMA = {
    **dict.fromkeys(("week", "scored_on", "version", "method", "verdict_then"), pl.String),
    "trained_now": pl.Boolean,
    **dict.fromkeys(("pairs_of", "against", "metric", "label"), pl.String),
    **dict.fromkeys(("difference", "low", "high", "confidence"), pl.Float64),
    **dict.fromkeys(("pairs", "contributors"), pl.Int64),
    "helped": pl.String,
}


@dataclass(frozen=True)
class BacktestWeek:
    """One week's policy, and its scores on the pairs of the week after."""

    week: str
    scored_on: str
    version: str
    method: str
    trained_now: bool
    verdict_then: str | None
    """What its evaluation said when the week was made, where it was."""
    scores: pl.DataFrame
    pairs: pl.DataFrame


def outcome_table(weeks: Sequence[BacktestWeek], settings: GateSettings) -> pl.DataFrame:
    """One row per week, group of pairs, model compared with and deciding metric; then the same over all weeks.

    Over all weeks a contributor counts as one, in however many weeks they were asked.
    """
    found = [(week, _differences(week, settings)) for week in weeks]
    rows = [row for week, frame in found for row in _rows(_facts(week), frame, settings)]
    if found:
        together = pl.concat([frame for _, frame in found])
        facts = dict.fromkeys(("scored_on", "version", "method", "verdict_then", "trained_now"))
        rows += _rows({"week": POOLED, **facts}, together, settings)
    return pl.DataFrame(rows, schema=OUTCOME_SCHEMA)


def _facts(week: BacktestWeek) -> dict[str, Any]:
    names = ("week", "scored_on", "version", "method", "verdict_then", "trained_now")
    return {name: getattr(week, name) for name in names}


def _differences(week: BacktestWeek, settings: GateSettings) -> pl.DataFrame:
    """Policy minus other model for every pair: metric, against, contributor, difference, unseen."""
    scores = checked_scores(week.scores)
    models = models_in(scores)
    others = {BASE: BASE, IN_USE: INCUMBENT if INCUMBENT in models else BASE}
    unseen = week.pairs.select(pair_id="id", unseen=~(pl.col(SEEN_PERSON) | pl.col(SEEN_PROMPT)))
    parts = [
        per_pair(scores, metric, models)
        .join(unseen, on="pair_id")
        .select(
            "unseen",
            "contributor",
            metric=pl.lit(metric),
            against=pl.lit(against),
            difference=pl.col(CANDIDATE) - pl.col(model),
        )
        for metric in (settings.primary_metrics if models else ())
        for against, model in others.items()
    ]
    schema = dict.fromkeys(("contributor", "metric", "against"), pl.String)
    empty = pl.DataFrame(schema={"unseen": pl.Boolean, **schema, "difference": pl.Float64})
    return pl.concat([empty, *(part.cast(empty.schema) for part in parts)])


def _rows(facts: dict[str, Any], differences: pl.DataFrame, settings: GateSettings) -> Iterator[dict[str, Any]]:
    for group in GROUPS:
        chosen = differences.filter(pl.col("unseen")) if group == UNSEEN else differences
        for (metric, against), frame in chosen.group_by("metric", "against", maintain_order=True):
            interval = pair_interval(frame, pl.col("difference"), settings.confidence, settings)
            known = BY_NAME[str(metric)]
            yield {
                **facts,
                "pairs_of": group,
                "against": against,
                "metric": metric,
                "label": known.label,
                "difference": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "confidence": interval.confidence,
                "pairs": interval.pairs,
                "contributors": interval.contributors,
                "helped": helped(interval, known.better),
            }


def helped(interval: Interval, better: int) -> str:
    """Whether an interval of a difference says that the policy would have helped."""
    ends = [better * end for end in (interval.low, interval.high) if end is not None]
    if not ends or min(ends) <= 0 <= max(ends):
        return "not shown"
    return "yes" if min(ends) > 0 else "no: worse"
