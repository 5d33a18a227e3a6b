"""The candidate against every other model on every metric: the difference, its interval, and what the two say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from grpo_pipeline.gates.between import answer_pairs, length_controlled_wins, length_drift
from grpo_pipeline.gates.evidence import contributor_means, e_value, scaled, sufficient_shift, threshold_at
from grpo_pipeline.gates.intervals import Interval, clustered_interval, detectable_effect
from grpo_pipeline.gates.metrics import (
    ANSWER_TOKENS,
    BASE,
    CANDIDATE,
    KL_PER_SEQUENCE,
    KL_PER_TOKEN,
    LENGTH_DEVIATION,
    LENGTH_DRIFT,
    METRICS,
    NON_FINITE,
    WORD_SIMILARITY,
    Metric,
)
from grpo_pipeline.gates.scores import models_in, per_pair
from grpo_pipeline.gates.settings import GateSettings

Role = Literal["primary", "guard", "shown"]
State = Literal["better", "worse", "doubtful", "kept", "unproven", "unclear", "too few", "shown"]

# The regression suite is small on purpose; fewer probes of a family say nothing.
MIN_PROBES = 8


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
    """The smallest difference that this sample would have shown, None where it could show none."""
    enough: bool
    e_value: float | None = None
    """Of a primary metric: the evidence that the candidate is better."""
    excused: bool = False
    """Of the length drift: the answers are credibly nearer to the corrections' lengths than the other model's."""

    @property
    def gain(self) -> float:
        """The difference with the sign that makes higher better; what should stay the same only loses by moving."""
        return self.metric.better * self.interval.mean if self.metric.better else -abs(self.interval.mean)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The worst and the best gain that the interval holds; None where there is too little to judge by."""
        low, high = self.interval.low, self.interval.high
        if low is None or high is None or not self.enough:
            return None
        if self.metric.better:
            worst, best = sorted((self.metric.better * low, self.metric.better * high))
            return worst, best
        return -max(abs(low), abs(high)), (0.0 if low <= 0.0 <= high else -min(abs(low), abs(high)))

    @property
    def state(self) -> State:
        """What the interval says, seen from the metric's role."""
        if self.role == "shown":
            return "shown"
        if self.role == "guard":
            return self._guarded()
        if not self.bounds:
            return "too few"
        worst, best = self.bounds
        return "better" if worst > 0 else "worse" if best < 0 else "unclear"

    def _guarded(self) -> State:
        """Non-inferiority: kept where it is shown, worse where its opposite is.

        Between the two it is doubtful where the sample was large enough to show it (an interval no wider than the
        margin misses it for equal models once in 40), or where even one standard error more than was measured is
        beyond the margin; else unproven, which a sample this small cannot help and which refuses nothing.
        """
        if self.excused:
            return "kept"
        if self.bounds:
            worst, best = self.bounds
            if best < -self.margin:
                return "worse"
            if worst > -self.margin:
                return "kept"
            if best - worst <= self.margin:
                return "doubtful"
        return "doubtful" if self.gain + (self.interval.standard_error or 0.0) < -self.margin else "unproven"


def pair_interval(frame: pl.DataFrame, values: pl.Expr, confidence: float, settings: GateSettings) -> Interval:
    """The mean of an expression over pairs with its interval over contributors."""
    return clustered_interval(
        frame.select(values).to_series().to_numpy(),
        frame["contributor"].to_numpy(),
        confidence=confidence,
        resamples=settings.resamples,
        seed=settings.seed,
    )


@dataclass(frozen=True)
class _Chances:
    """How many ways there are to be promoted by luck: primary metrics, candidates of the week, and looks."""

    primaries: int
    rivals: int
    look: int

    def confidence(self, whole: float) -> float:
        """Of one candidate's interval on one primary metric."""
        return 1 - (1 - whole) / (self.primaries * self.rivals)


def compare(scores: pl.DataFrame, settings: GateSettings, look: int = 1, rivals: int = 1) -> list[Comparison]:
    """The candidate against every other model on every metric that was measured.

    The intervals of the primary metrics share the confidence (Bonferroni), because one of them is enough to promote;
    so do the candidates of a week, one of which is enough. What must not get worse is judged at the whole confidence.
    """
    models = models_in(scores)
    tables = {
        metric: wide
        for metric in METRICS
        if metric.kind == "level"
        and metric.name != NON_FINITE
        and (wide := per_pair(scores, metric.name, models)).height
    }
    primaries = sum(metric.name in settings.primary_metrics for metric in tables)
    found = {
        (metric.name, against): _level_comparison(
            metric, wide, against, models, _Chances(primaries, rivals, look), settings
        )
        for metric, wide in tables.items()
        for against in models[:-1]
    }
    if {WORD_SIMILARITY, ANSWER_TOKENS} <= {metric.name for metric in tables}:
        for against in models[:-1]:
            found |= {(item.metric.name, against): item for item in _between(scores, against, models, settings, found)}
    order = {metric.name: place for place, metric in enumerate(METRICS)}
    return sorted(found.values(), key=lambda item: (order[item.metric.name], models.index(item.against)))


def _role(metric: Metric, against: str, models: list[str], settings: GateSettings) -> Role:
    if metric.name in settings.primary_metrics:
        return "primary"
    if metric.name not in settings.margins:
        return "shown"
    # How far a policy may go is counted from the base model; its answers stand against those of the model in use.
    if metric.name in (KL_PER_TOKEN, KL_PER_SEQUENCE):
        return "guard" if against == BASE else "shown"
    return "guard" if metric.kind == "level" or against == models[-2] else "shown"


def _enough(metric: Metric, interval: Interval, settings: GateSettings) -> bool:
    if metric.probe:
        return interval.pairs >= MIN_PROBES
    return interval.pairs >= settings.min_pairs and interval.contributors >= settings.min_contributors


def _level_comparison(
    metric: Metric,
    wide: pl.DataFrame,
    against: str,
    models: list[str],
    chances: _Chances,
    settings: GateSettings,
) -> Comparison:
    role = _role(metric, against, models, settings)
    confidence = chances.confidence(settings.confidence) if role == "primary" else settings.confidence
    difference = pl.col(CANDIDATE) - pl.col(against)
    interval = pair_interval(wide, difference, confidence, settings)
    found = Comparison(
        metric,
        role,
        against,
        interval,
        settings.margins.get(metric.name, 0.0),
        detectable_effect(interval, settings.power),
        _enough(metric, interval, settings),
    )
    if role != "primary":
        return found
    values = metric.better * wide.select(difference).to_series().to_numpy()
    bets = scaled(contributor_means(values, wide["contributor"].to_numpy()), metric.scale)
    threshold = chances.primaries * float(threshold_at(chances.look, (1 - settings.confidence) / chances.rivals))
    return replace(found, e_value=float(e_value(bets)), detectable=_reach(found, bets, threshold, settings))


def _reach(found: Comparison, bets: np.ndarray, threshold: float, settings: GateSettings) -> float | None:
    """The smallest improvement that both the interval and the e-value would have shown with the power asked for."""
    shift = sufficient_shift(bets, threshold)
    if found.detectable is None or shift is None:
        return None
    from scipy import stats

    error = found.interval.standard_error or 0.0
    more = float(stats.t.ppf(settings.power, found.interval.contributors - 1)) * error
    return max(found.detectable, shift * found.metric.scale + more)


def _between(
    scores: pl.DataFrame,
    against: str,
    models: list[str],
    settings: GateSettings,
    found: dict[tuple[str, str], Comparison],
) -> list[Comparison]:
    answers = answer_pairs(scores, against)
    if answers.is_empty():
        return []
    nearer = found.get((LENGTH_DEVIATION, against))
    excused = nearer is not None and nearer.bounds is not None and nearer.bounds[0] > 0
    compared = []
    for metric in METRICS:
        if metric.kind == "level":
            continue
        measure = length_drift if metric.name == LENGTH_DRIFT else length_controlled_wins
        interval = measure(answers, settings.confidence, settings)
        compared.append(
            Comparison(
                metric,
                _role(metric, against, models, settings),
                against,
                interval,
                settings.margins.get(metric.name, 0.0),
                detectable_effect(interval, settings.power),
                _enough(metric, interval, settings),
                excused=metric.name == LENGTH_DRIFT and excused,
            )
        )
    return compared
