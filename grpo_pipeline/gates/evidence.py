"""Evidence that may be looked at every week: e-values, and how much of it each look at the same incumbent needs.

An e-value is a bet against "no better": its mean is at most 1 where that is true, so it reaches 1 / a with probability
at most a (Ville's and Markov's inequality), in a sample of any size. The bet here is on differences between -1 and 1,
one per contributor, and needs no normal distribution: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random
variables by betting" (https://arxiv.org/abs/2010.09686). Bets over the whole range of stakes are mixed (Howard, Ramdas,
McAuliffe and Sekhon 2021, https://arxiv.org/abs/1810.08240), most of them as in Cover's universal portfolio, so no
stake has to be chosen on the data.

Every week is another candidate on held-out pairs that overlap with last week's. The looks share the error by a schedule
that sums to it, which holds whatever the dependence between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STAKES = 64
LOOKS_A_YEAR = 52
# The share of the mixture that bets all: with eight contributors only a bold bet reaches the threshold at all.
ALL_IN = 0.25
# An e-value is capped at this power of e, about 10 ** 13, far above every threshold.
MOST_LOG = 30.0
# Halvings of the range in which the smallest sufficient shift is sought.
HALVINGS = 20


@dataclass(frozen=True)
class Evidence:
    """How much speaks against "no primary metric is better than the incumbent's", and how much is needed."""

    e_value: float
    threshold: float
    look: int
    """Which evaluation against the same incumbent this is, from 1."""

    @property
    def enough(self) -> bool:
        """Whether a promotion may rest on it."""
        return self.e_value >= self.threshold


def threshold_at(look: NDArray[Any] | int, error: float) -> NDArray[np.float64]:
    """The e-value needed at a look: 1 over the part of the error that is spent on it.

    Half of the error is spent by error / (look * (look + 1)), a quarter on the first look alone, so that a large gain
    is promoted at once; the other half evenly on the looks of a year, so that a small one still can be after months.
    The parts of all looks, however many, sum to the error.

    Args:
        look: from 1.
        error: probability of promoting any candidate that is no better, over all looks at one incumbent.
    """
    number = np.asarray(look, dtype=np.float64)
    early = 1.0 / (number * (number + 1.0))
    even = (number <= LOOKS_A_YEAR) / LOOKS_A_YEAR
    return np.asarray(2.0 / (error * (early + even)))


def contributor_means(values: NDArray[np.float64], contributors: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of each contributor's values, in the order of their names."""
    _, codes = np.unique(contributors, return_inverse=True)
    return np.asarray(np.bincount(codes, values) / np.bincount(codes))


def e_value(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evidence that the mean difference is above 0, along the last axis; at most 1 on average where it is not.

    Args:
        differences: (..., contributors), each between -1 and 1 and independent of the others; NaN is nobody.
    """
    known = np.nan_to_num(differences)
    bold = _winnings(known)
    careful = _winnings(_stakes()[:, None] * known[..., None, :]).mean(axis=-1)
    return np.asarray(ALL_IN * bold + (1.0 - ALL_IN) * careful)


def e_process(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """The evidence of `e_value` after each difference, (n), from differences (n) in the order in which they came.

    Where each difference is at most 0 on average, whatever the ones before it were, this ever reaches 1 / a with
    probability at most a (Ville's inequality): it may be looked at after every one, and acted on at any time.
    """
    with np.errstate(divide="ignore"):
        bold = np.cumsum(np.log1p(differences))
        careful = np.cumsum(np.log1p(_stakes()[:, None] * differences), axis=-1)
    mixed = np.exp(np.minimum(careful, MOST_LOG)).mean(axis=0)
    return np.asarray(ALL_IN * np.exp(np.minimum(bold, MOST_LOG)) + (1.0 - ALL_IN) * mixed)


def _winnings(bets: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a bet of 1 has become after all contributors, along the last axis; capped, as it grows exponentially."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(np.minimum(np.log1p(bets).sum(axis=-1), MOST_LOG)))


def _stakes() -> NDArray[np.float64]:
    """Quantiles of the arcsine law on 0 to 1 (Cover and Ordentlich 1996: never far behind the best stake)."""
    return np.asarray((1.0 - np.cos((2.0 * np.arange(STAKES) + 1.0) * np.pi / (2.0 * STAKES))) / 2.0)


def scaled(differences: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Differences in units of what counts as a whole one; further ones count as a whole one."""
    return np.clip(differences / scale, -1.0, 1.0)


def sufficient_shift(differences: NDArray[np.float64], threshold: float) -> float | None:
    """The mean difference at which a sample with this spread just reaches the threshold, None where none does."""
    spread = differences - differences.mean()

    def reached(mean: float) -> bool:
        return bool(e_value(np.clip(spread + mean, -1.0, 1.0)) >= threshold)

    low, high = 0.0, 1.0
    if not reached(high):
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
