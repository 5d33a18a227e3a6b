"""What an evaluation measured, as tables: levels of every model, differences between them, and differences by week."""

from __future__ import annotations

import polars as pl

from grpo_pipeline.gates.comparisons import Comparison, pair_interval
from grpo_pipeline.gates.intervals import Interval
from grpo_pipeline.gates.metrics import BY_NAME, CANDIDATE, METRICS
from grpo_pipeline.gates.scores import WEEK, models_in, per_pair
from grpo_pipeline.gates.settings import GateSettings

NUMBERS = {
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "confidence": pl.Float64,
    "pairs": pl.Int64,
    "contributors": pl.Int64,
}
LEVELS_SCHEMA = {"metric": pl.String, "label": pl.String, "better": pl.Int8, "model": pl.String, **NUMBERS}
COMPARISONS_SCHEMA = {
    **dict.fromkeys(("metric", "label", "role", "against"), pl.String),
    "margin": pl.Float64,
    "state": pl.String,
    "detectable_effect": pl.Float64,
    **{{"mean": "difference"}.get(name, name): kind for name, kind in NUMBERS.items()},
    "e_value": pl.Float64,
}
WEEKS_SCHEMA = {
    **dict.fromkeys(("metric", "label", "against", "week"), pl.String),
    "pairs": pl.Int64,
    "contributors": pl.Int64,
    "difference": pl.Float64,
}


def _numbers(interval: Interval) -> dict[str, float | None]:
    return {name: getattr(interval, name) for name in NUMBERS}


def levels(scores: pl.DataFrame, settings: GateSettings) -> pl.DataFrame:
    """Every metric's mean for every model, with its interval over contributors.

    Columns: metric, label, better (1 higher, -1 lower, 0 neither), model, mean, low, high, confidence, pairs and
    contributors; for a probe its items stand for pairs and contributors.
    """
    models = models_in(scores)
    rows = []
    for metric in METRICS:
        wide = per_pair(scores, metric.name, models)
        for model in models if wide.height else []:
            interval = pair_interval(wide, pl.col(model), settings.confidence, settings)
            named = {"metric": metric.name, "label": metric.label, "better": metric.better, "model": model}
            rows.append({**named, **_numbers(interval)})
    return pl.DataFrame(rows, schema=LEVELS_SCHEMA)


def comparison_table(comparisons: list[Comparison]) -> pl.DataFrame:
    """The differences as a table, one row per metric and other model."""
    return pl.DataFrame(
        [
            {
                "metric": item.metric.name,
                "label": item.metric.label,
                "role": item.role,
                "against": item.against,
                "margin": item.margin,
                "state": item.state,
                "detectable_effect": item.detectable,
                "difference": item.interval.mean,
                "e_value": item.e_value,
                **_numbers(item.interval),
            }
            for item in comparisons
        ],
        schema=COMPARISONS_SCHEMA,
    )


def weekly_table(scores: pl.DataFrame, settings: GateSettings) -> pl.DataFrame:
    """The primary metrics' differences by the week that the pair is from, earliest first; pairs without one left out.

    Columns: metric, label, against, week, pairs, contributors and difference (candidate minus the other model, mean).
    """
    models = models_in(scores)
    tables = []
    for name in settings.primary_metrics:
        dated = per_pair(scores, name, models).filter(pl.col(WEEK).is_not_null())
        for against in models[:-1]:
            weeks = dated.group_by(WEEK).agg(
                pl.len().cast(pl.Int64).alias("pairs"),
                pl.col("contributor").n_unique().cast(pl.Int64).alias("contributors"),
                (pl.col(CANDIDATE) - pl.col(against)).mean().alias("difference"),
            )
            named = {"metric": name, "label": BY_NAME[name].label, "against": against}
            tables.append(weeks.with_columns(**{key: pl.lit(text) for key, text in named.items()}).sort(WEEK))
    empty = pl.DataFrame(schema=WEEKS_SCHEMA)
    return pl.concat([empty, *(table.select(empty.columns) for table in tables)])
