"""The table of scores that an evaluation writes, and its pairs with one column per model."""

from __future__ import annotations

import polars as pl

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.gates.metrics import BASE, CANDIDATE, MODELS, PROBES

SCORES_SCHEMA = {
    "pair_id": pl.String,
    "contributor": pl.String,
    "model": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "sample": pl.Int32,
}
# The week of the pair, for the table by week; null for probes and where it is not known.
WEEK = "week"


def checked_scores(scores: pl.DataFrame) -> pl.DataFrame:
    """The scores in a fixed order, with every column that the tables need.

    Raises:
        PipelineError: a column or a model is missing.
    """
    missing = [name for name in SCORES_SCHEMA if name not in scores.columns]
    if missing:
        raise PipelineError(f"The scores lack the columns {', '.join(missing)}: run the evaluation again.")
    week = pl.col(WEEK).cast(pl.String) if WEEK in scores.columns else pl.lit(None, pl.String).alias(WEEK)
    scores = scores.select(*(pl.col(name).cast(dtype) for name, dtype in SCORES_SCHEMA.items()), week)
    models = set(scores["model"].unique())
    absent = [name for name in (BASE, CANDIDATE) if name not in models]
    # Without a single held-out pair there is nothing to score, which is a sample too small rather than a fault.
    if absent and scores.height:
        raise PipelineError(f"The scores lack the model {' and '.join(absent)}: run the evaluation again.")
    return scores.sort("metric", "pair_id", "model", "sample", "value")


def on_held_out(scores: pl.DataFrame) -> pl.DataFrame:
    """The scores on held-out pairs, without the probes."""
    return scores.filter(~pl.col("metric").is_in([metric.name for metric in PROBES]))


def models_in(scores: pl.DataFrame) -> list[str]:
    """The models that were scored, base first and candidate last."""
    present = set(scores["model"].unique())
    return [name for name in MODELS if name in present]


def per_pair(scores: pl.DataFrame, metric: str, models: list[str]) -> pl.DataFrame:
    """One row per pair with a column per model: the mean over its answers; pairs without a finite value are left out.

    Raises:
        PipelineError: a model was not scored on a pair that another one was scored on.
    """
    rows = scores.filter(pl.col("metric") == metric, pl.col("value").is_not_null())
    means = rows.group_by("pair_id", "contributor", WEEK, "model", maintain_order=True).agg(pl.col("value").mean())
    wide = means.pivot(on="model", on_columns=models, index=["pair_id", "contributor", WEEK], values="value")
    gaps = wide.select(pl.any_horizontal(pl.col(models).is_null()).sum()).item() if wide.height else 0
    if gaps:
        raise PipelineError(
            f"The scores of {metric} are incomplete: on {gaps} pairs not every model was scored. "
            "Run the evaluation again from the start."
        )
    known = wide.with_columns(contributor=pl.coalesce("contributor", "pair_id"))
    return known.filter(pl.all_horizontal(pl.col(models).is_finite())).sort("pair_id")
