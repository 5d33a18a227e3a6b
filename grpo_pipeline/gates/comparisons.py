"""Scores per answer turned into one table of levels and one of differences between models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.gates.intervals import Interval, clustered_interval, detectable_effect
from grpo_pipeline.gates.metrics import BASE, CANDIDATE, METRICS, MODELS, NON_FINITE, Metric
from grpo_pipeline.gates.settings import GateSettings

SCORES_SCHEMA = {
    "pair_id": pl.String,
    "contributor": pl.String,
    "model": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "sample": pl.Int32,
}
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
}
Role = Literal["primary", "guard", "shown"]
State = Literal["better", "worse", "doubtful", "kept", "unclear", "too few", "shown"]


@dataclass(frozen=True)
class Comparison:
    """How the candidate differs from one other model on one metric."""

    metric: Metric
    role: Role
    against: str
    interval: Interval
    """Of candidate minus the other model, in the metric's own unit."""
    margin: float
    detectable: float | None
    enough: bool

    @property
    def gain(self) -> float:
        """The difference with the sign that makes higher better."""
        return self.metric.better * self.interval.mean

    @property
    def state(self) -> State:
        """What the interval says, seen from the metric's role.

        A guard metric is doubtful when the difference is beyond its margin even with one standard error added to it.
        """
        if self.role == "shown":
            return "shown"
        ends = (self.interval.low, self.interval.high)
        judged = [self.metric.better * end for end in ends if end is not None] if self.enough else []
        if judged and max(judged) < -self.margin:
            return "worse"
        if self.role == "guard":
            return "doubtful" if self.gain + (self.interval.standard_error or 0.0) < -self.margin else "kept"
        if not judged:
            return "too few"
        return "better" if min(judged) > 0 else "unclear"


def checked_scores(scores: pl.DataFrame) -> pl.DataFrame:
    """The scores in a fixed order, with every column that the tables need.

    Raises:
        PipelineError: a column or a model is missing.
    """
    missing = [name for name in SCORES_SCHEMA if name not in scores.columns]
    if missing:
        raise PipelineError(f"The scores lack the columns {', '.join(missing)}: run the evaluation again.")
    scores = scores.select(pl.col(name).cast(dtype) for name, dtype in SCORES_SCHEMA.items())
    models = set(scores["model"].unique())
    absent = [name for name in (BASE, CANDIDATE) if name not in models]
    # Without a single held-out pair there is nothing to score, which is a sample too small rather than a fault.
    if absent and scores.height:
        raise PipelineError(f"The scores lack the model {' and '.join(absent)}: run the evaluation again.")
    return scores.sort("metric", "pair_id", "model", "sample", "value")


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
    means = rows.group_by("pair_id", "contributor", "model", maintain_order=True).agg(pl.col("value").mean())
    wide = means.pivot(on="model", on_columns=models, index=["pair_id", "contributor"], values="value")
    gaps = wide.select(pl.any_horizontal(pl.col(models).is_null()).sum()).item() if wide.height else 0
    if gaps:
        raise PipelineError(
            f"The scores of {metric} are incomplete: on {gaps} pairs not every model was scored. "
            "Run the evaluation again from the start."
        )
    return wide.filter(pl.all_horizontal(pl.col(models).is_finite())).sort("pair_id")


def _interval(frame: pl.DataFrame, values: pl.Expr, confidence: float, settings: GateSettings) -> Interval:
    return clustered_interval(
        frame.select(values).to_series().to_numpy(),
        frame["contributor"].fill_null(frame["pair_id"]).to_numpy(),
        confidence=confidence,
        resamples=settings.resamples,
        seed=settings.seed,
    )


def _numbers(interval: Interval) -> dict[str, float | None]:
    return {name: getattr(interval, name) for name in NUMBERS}


def levels(scores: pl.DataFrame, settings: GateSettings) -> pl.DataFrame:
    """Every metric's mean for every model, with its interval over contributors.

    Columns: metric, label, better (1 higher, -1 lower, 0 neither), model, mean, low, high, confidence, pairs and
    contributors.
    """
    models = models_in(scores)
    rows = []
    for metric in METRICS:
        wide = per_pair(scores, metric.name, models)
        for model in models if wide.height else []:
            interval = _interval(wide, pl.col(model), settings.confidence, settings)
            named = {"metric": metric.name, "label": metric.label, "better": metric.better, "model": model}
            rows.append({**named, **_numbers(interval)})
    return pl.DataFrame(rows, schema=LEVELS_SCHEMA)


def _role(metric: Metric, settings: GateSettings) -> Role:
    if metric.name in settings.primary_metrics:
        return "primary"
    return "guard" if metric.name in settings.margins else "shown"


def compare(scores: pl.DataFrame, settings: GateSettings) -> list[Comparison]:
    """The candidate against every other model on every metric that was measured.

    The intervals of the primary metrics share the confidence (Bonferroni), because one of them is enough to promote.
    """
    models = models_in(scores)
    tables = {
        metric: wide
        for metric in METRICS
        if metric.name != NON_FINITE and (wide := per_pair(scores, metric.name, models)).height
    }
    primaries = sum(_role(metric, settings) == "primary" for metric in tables)
    found = []
    for metric, wide in tables.items():
        role = _role(metric, settings)
        confidence = 1 - (1 - settings.confidence) / primaries if role == "primary" else settings.confidence
        for against in models[:-1]:
            interval = _interval(wide, pl.col(CANDIDATE) - pl.col(against), confidence, settings)
            enough = interval.pairs >= settings.min_pairs and interval.contributors >= settings.min_contributors
            margin = settings.margins.get(metric.name, 0.0)
            found.append(
                Comparison(metric, role, against, interval, margin, detectable_effect(interval, settings.power), enough)
            )
    return found


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
                **_numbers(item.interval),
            }
            for item in comparisons
        ],
        schema=COMPARISONS_SCHEMA,
    )
