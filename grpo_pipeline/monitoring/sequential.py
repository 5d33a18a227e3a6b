"""A comparison of two versions that may be looked at any time: a test by betting on the difference between users.

Users come one after the other, and each counts once. Consecutive users form blocks that end as soon as both versions
are in them; the difference of the block's two means lies between -1 and 1, and is 0 on average where the versions are
equal, whatever else changes over time (both versions of a block are judged at about the same moment). Bets on these
differences make an e-process (`gates.evidence.e_process`): where the versions are equal it ever reaches 1 / a with
probability at most a, however often it is looked at. Shekhar and Ramdas 2023, "Nonparametric two-sample testing by
betting" (https://arxiv.org/abs/2112.09162); blocks as in Turner, Ly and Grunwald 2024, "Generic e-variables for exact
sequential k-sample tests that allow for optional stopping" (https://arxiv.org/abs/2106.02693).

The differences that no bet refutes are a confidence sequence: it holds the true one at all looks together with the
stated confidence (Waudby-Smith and Ramdas 2024, https://arxiv.org/abs/2010.09686).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grpo_pipeline.gates.evidence import e_process, e_value

Floats = NDArray[np.float64]
# Halvings of the range in which an end of the confidence sequence is sought: to four digits.
HALVINGS = 16


@dataclass(frozen=True)
class Comparison:
    """How another version's users judge it beside the users of the version it is compared with.

    Attributes:
        users: who count so far: of the reference, of the other.
        success: mean verdict of each, None without any.
        blocks: differences that were bet on.
        difference: their mean, the other's success less the reference's; None without any.
        low: lower end of the confidence sequence, from -1.
        high: upper end of it, to 1.
        worse: the greatest evidence at any look that the other version is worse.
        better: the same that it is better.
        needed: evidence from which either is credible.
    """

    users: tuple[int, int]
    success: tuple[float | None, float | None]
    blocks: int
    difference: float | None
    low: float
    high: float
    worse: float
    better: float
    needed: float

    @property
    def is_worse(self) -> bool:
        """Whether it is credible that the other version is worse."""
        return self.worse >= self.needed

    @property
    def is_better(self) -> bool:
        """Whether it is credible that the other version is better, and never was that it is worse."""
        return self.better >= self.needed and not self.is_worse


def block_differences(is_other: NDArray[Any], success: Floats) -> Floats:
    """The difference of means, other less reference, of each block of users in the order in which they came.

    Args:
        is_other: (users) whether a user judged the other version.
        success: (users) from 0 to 1.
    """
    totals, counts, found = [0.0, 0.0], [0, 0], []
    for other, value in zip(is_other.tolist(), success.tolist(), strict=True):
        totals[other] += value
        counts[other] += 1
        if all(counts):
            found.append(totals[1] / counts[1] - totals[0] / counts[0])
            totals, counts = [0.0, 0.0], [0, 0]
    return np.asarray(found, dtype=np.float64)


def compare(is_other: NDArray[Any], success: Floats, differences: Floats, error: float) -> Comparison:
    """What users' verdicts and the differences between them say at this look, and said at any earlier one.

    Args:
        is_other: (users) whether a user judged the other version.
        success: (users) from 0 to 1.
        differences: (blocks) in their order, each from -1 to 1.
        error: most probable error over all looks and both directions.
    """
    needed, bounds = 2.0 / error, confidence_sequence(differences, error)
    reference, other = success[~is_other], success[is_other]
    return Comparison(
        users=(len(reference), len(other)),
        success=(_mean(reference), _mean(other)),
        blocks=len(differences),
        difference=_mean(differences),
        low=bounds[0],
        high=bounds[1],
        worse=float(e_process(-differences).max(initial=1.0)),
        better=float(e_process(differences).max(initial=1.0)),
        needed=needed,
    )


def confidence_sequence(differences: Floats, error: float) -> tuple[float, float]:
    """The range of mean differences that the evidence at this look leaves standing.

    Args:
        differences: in any order, each from -1 to 1.
        error: probability that the true one is outside at any of all looks.
    """
    needed = 2.0 / error

    def above(mean: float) -> bool:
        return bool(e_value((differences - mean) / (1.0 + abs(mean))) >= needed)

    def below(mean: float) -> bool:
        return bool(e_value((mean - differences) / (1.0 + abs(mean))) >= needed)

    return -_last_standing(lambda end: above(-end)), _last_standing(below)


def _last_standing(refuted: Callable[[float], bool]) -> float:
    """The greatest end in -1 to 1 that is not refuted; what lies beyond a refuted one is too."""
    low, high = -1.0, 1.0
    if not refuted(high):
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return high


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
