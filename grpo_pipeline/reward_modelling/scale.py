"""From a model's own values to rewards: length taken out, mean 0 and standard deviation 1, at most 2 either way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CLIP = 2.0
STEEPEST = 20.0


def log_lengths(answers: Sequence[str]) -> Floats:
    """Logarithm of each answer's length in characters."""
    return np.log([max(1, len(answer.strip())) for answer in answers])


@dataclass(frozen=True)
class RewardScale:
    """How values become rewards, and differences of rewards probabilities."""

    intercept: float
    length_slope: float
    spread: float
    steepness: float

    def rewards(self, values: Floats, answers: Sequence[str]) -> Floats:
        """One reward per answer, from -2 to 2; an answer of nothing gets the lowest."""
        expected = self.intercept + self.length_slope * log_lengths(answers)
        scaled = np.clip((values - expected) / self.spread, -CLIP, CLIP)
        return np.where([bool(answer.strip()) for answer in answers], scaled, -CLIP)

    def probability(self, margins: Floats) -> Floats:
        """How likely the first of two answers is preferred, by how much higher its reward is."""
        from scipy.special import expit

        return np.asarray(expit(self.steepness * margins))


def fit_scale(
    chosen_values: Floats, rejected_values: Floats, chosen: Sequence[str], rejected: Sequence[str]
) -> RewardScale:
    """Fit the scale to values of answers that the model was not fitted on.

    The values of answers it was fitted on would lie too far apart, and new answers in the middle.
    """
    values, lengths = np.concatenate([chosen_values, rejected_values]), log_lengths([*chosen, *rejected])
    centered = lengths - lengths.mean()
    varied = float(centered @ centered)
    slope = float(centered @ values) / varied if varied else 0.0
    intercept = float(values.mean() - slope * lengths.mean())
    spread = float((values - intercept - slope * lengths).std())
    scale = RewardScale(intercept, slope, spread or 1.0, 1.0)
    margins = scale.rewards(chosen_values, chosen) - scale.rewards(rejected_values, rejected)
    return RewardScale(intercept, slope, spread or 1.0, _steepness(margins))


def _steepness(margins: Floats) -> float:
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda steepness: float(np.logaddexp(0, -steepness * margins).mean()), bounds=(0, STEEPEST), method="bounded"
    )
    return float(found.x)
