"""Bootstrap intervals of a mean over pairs, where the pairs of one contributor are not independent.

scipy.stats takes a second to import, so it is imported where it is used: the Dagster code location reads verdicts too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# Bounds the resampled array to about 16 MB.
RESAMPLED_NUMBERS = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A mean over pairs with its interval over contributors; the bounds are None with fewer than two contributors."""

    mean: float
    low: float | None
    high: float | None
    standard_error: float | None
    pairs: int
    contributors: int
    confidence: float


class Statistic(Protocol):
    """A number from the sums of each contributor's quantities, vectorized over every axis but the given one."""

    def __call__(self, *sums: NDArray[Any], axis: int) -> NDArray[Any]:
        """The number of every line of contributors along `axis`."""


def _ratio_of_sums(*sums: NDArray[Any], axis: int) -> NDArray[Any]:
    values, counts = sums
    return np.asarray(values.sum(axis=axis) / counts.sum(axis=axis))


def _expanded(confidence: float, clusters: int) -> float:
    """The percentile level that makes up for the bootstrap's narrowness with few clusters.

    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 4.4 (expanded percentile).
    """
    from scipy import stats

    quantile = stats.t.ppf((1 + confidence) / 2, clusters - 1) * np.sqrt(clusters / (clusters - 1))
    return float(2 * stats.norm.cdf(quantile) - 1)


def clustered_interval(
    values: NDArray[np.float64],
    contributors: NDArray[Any],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """The mean of one value per pair, with a bootstrap interval that resamples whole contributors.

    Args:
        values: one finite number per pair (for a paired comparison: the difference between two models).
        contributors: who the pair is from, same length; the order of the pairs does not matter.
        confidence: of the two-sided interval, such as 0.95.
        resamples: how often the contributors are drawn anew.
        seed: of these draws.
    """
    _, codes = np.unique(contributors, return_inverse=True)
    order = np.lexsort((values, codes))
    sums = np.bincount(codes[order], values[order])
    counts = np.bincount(codes).astype(np.float64)
    clusters = len(counts)
    mean = float(sums.sum() / counts.sum())
    if clusters < 2:
        return Interval(mean, None, None, None, len(values), clusters, confidence)
    low, high = _bootstrap((sums, counts), _ratio_of_sums, confidence, resamples, seed)
    residuals = sums - mean * counts
    error = float(np.sqrt(clusters / (clusters - 1) * np.square(residuals).sum()) / counts.sum())
    return Interval(mean, low, high, error, len(values), clusters, confidence)


def clustered_statistic(
    rows: NDArray[np.float64],
    contributors: NDArray[Any],
    statistic: Statistic,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Any statistic of sums over pairs, with a bootstrap interval that resamples whole contributors.

    Args:
        rows: (pairs, quantities): what is summed, one line per pair.
        contributors: who the pair is from, same length.
        statistic: of the sums, one array per quantity and `axis`, the axis of the contributors that it sums over.
        confidence: of the two-sided interval.
        resamples: how often the contributors are drawn anew.
        seed: of these draws.
    """
    _, codes = np.unique(contributors, return_inverse=True)
    order = np.lexsort((*rows.T, codes))
    sums = tuple(np.bincount(codes[order], column[order]) for column in rows.T)
    clusters = len(sums[0])
    value = float(statistic(*sums, axis=-1))
    if clusters < 2:
        return Interval(value, None, None, None, len(rows), clusters, confidence)
    low, high = _bootstrap(sums, statistic, confidence, resamples, seed)
    left_out = ~np.eye(clusters, dtype=bool)
    jackknife = statistic(*(np.where(left_out, column, 0.0) for column in sums), axis=-1)
    error = float(np.sqrt((clusters - 1) / clusters * np.square(jackknife - jackknife.mean()).sum()))
    return Interval(value, low, high, error, len(rows), clusters, confidence)


def _bootstrap(
    sums: tuple[NDArray[Any], ...], statistic: Statistic, confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    from scipy import stats

    clusters = len(sums[0])
    drawn = stats.bootstrap(
        sums,
        statistic,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=resamples,
        batch=max(1, RESAMPLED_NUMBERS // clusters),
        confidence_level=_expanded(confidence, clusters),
        rng=np.random.default_rng(seed),
    )
    low, high = drawn.confidence_interval
    return float(low), float(high)


def detectable_effect(interval: Interval, power: float) -> float | None:
    """The smallest true difference that a sample with this spread shows with the given probability.

    None where the sample has no spread to judge by (fewer than two contributors, or the same value everywhere).
    """
    if not interval.standard_error:
        return None
    from scipy import stats

    freedom = interval.contributors - 1
    quantiles = stats.t.ppf((1 + interval.confidence) / 2, freedom) + stats.t.ppf(power, freedom)
    return float(quantiles * interval.standard_error)
