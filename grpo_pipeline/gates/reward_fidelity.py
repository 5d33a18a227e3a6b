"""How far a reward model can be trusted: what it says about held-out pairs, beside what a ruler would say.

scipy.stats takes a second to import, so it is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grpo_pipeline.gates.intervals import clustered_interval
from grpo_pipeline.reward_modelling.scale import log_lengths
from grpo_pipeline.rewards.similarity import chrf

Floats = NDArray[np.float64]
RESAMPLES = 4000
CALIBRATION_BINS = 5


@dataclass(frozen=True)
class Judged:
    """Held-out pairs with what the model says about them.

    `chosen_rewards` and `rejected_rewards` are (pairs) each, `probabilities` (pairs) are of the correction being
    preferred; `question` is the prompt as plain text.
    """

    question: Sequence[str]
    chosen: Sequence[str]
    rejected: Sequence[str]
    contributor: Sequence[str]
    chosen_rewards: Floats
    rejected_rewards: Floats
    probabilities: Floats


@dataclass(frozen=True)
class Share:
    """A share of pairs with its interval; the bounds are None with fewer than two contributors."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Baseline:
    """A rule that needs no model: its accuracy on the same pairs, and how much more often the model is right."""

    name: str
    accuracy: float
    advantage: Share


@dataclass(frozen=True)
class Fidelity:
    """What is known about a reward model from pairs that it never saw."""

    pairs: int
    contributors: int
    accuracy: Share
    brier: float
    calibration_error: float
    length_correlation: float
    baselines: tuple[Baseline, ...]


def right(margins: Floats) -> Floats:
    """1 where the correction comes first, 0 where second, a half where neither does."""
    return np.asarray((np.sign(margins) + 1) / 2)


def baseline_margins(question: Sequence[str], chosen: Sequence[str], rejected: Sequence[str]) -> Mapping[str, Floats]:
    """For each rule how much it prefers the corrections (pairs): longer, shorter, and nearer to the prompt or not."""
    longer = log_lengths(chosen) - log_lengths(rejected)
    near = [
        chrf(kept, asked) - chrf(dropped, asked)
        for asked, kept, dropped in zip(question, chosen, rejected, strict=True)
    ]
    similar = np.asarray(near, dtype=np.float64)
    return {"longer": longer, "shorter": -longer, "similar to the prompt": similar, "unlike the prompt": -similar}


def wilson_interval(share: float, size: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval (1927) of a share of `size` independent cases, which need not be a whole number."""
    square = quantile**2
    middle = (share + square / (2 * size)) / (1 + square / size)
    reach = quantile / (1 + square / size) * np.sqrt(share * (1 - share) / size + square / (4 * size**2))
    return float(middle - reach), float(middle + reach)


def accuracy_of(correct: Floats, contributors: Sequence[str], confidence: float, seed: int) -> Share:
    """The share of pairs with the right order, with Wilson's interval at the effective number of pairs.

    Pairs of one contributor resemble each other, so they count as fewer: as many as would give the standard error
    clustered by contributor (Dean and Pagano 2015, https://doi.org/10.1093/jssam/smv024).
    """
    from scipy import stats

    found = clustered_interval(correct, np.asarray(contributors), confidence=confidence, resamples=2, seed=seed)
    if found.standard_error is None:
        return Share(found.mean, None, None)
    independent = float(found.pairs)
    if found.standard_error > 0:
        independent = min(independent, found.mean * (1 - found.mean) / found.standard_error**2)
    quantile = float(stats.t.ppf((1 + confidence) / 2, found.contributors - 1))
    return Share(found.mean, *wilson_interval(found.mean, max(independent, 1.0), quantile))


def measure_fidelity(judged: Judged, confidence: float, seed: int) -> Fidelity:
    """Accuracy, calibration and length bias of a reward model, and of the rules that it must beat."""
    from scipy import stats

    correct = right(judged.chosen_rewards - judged.rejected_rewards)
    rules = baseline_margins(judged.question, judged.chosen, judged.rejected)
    rewards = np.concatenate([judged.chosen_rewards, judged.rejected_rewards])
    lengths = log_lengths([*judged.chosen, *judged.rejected])
    varied = np.ptp(rewards) > 0 and np.ptp(lengths) > 0
    return Fidelity(
        pairs=len(correct),
        contributors=len(set(judged.contributor)),
        accuracy=accuracy_of(correct, judged.contributor, confidence, seed),
        brier=float(np.square(1 - judged.probabilities).mean()),
        calibration_error=calibration_error(judged.probabilities),
        length_correlation=float(stats.spearmanr(rewards, lengths).statistic) if varied else 0.0,
        baselines=tuple(
            _baseline(name, correct, right(margins), judged.contributor, confidence, seed)
            for name, margins in rules.items()
        ),
    )


def _baseline(
    name: str, correct: Floats, other: Floats, contributors: Sequence[str], confidence: float, seed: int
) -> Baseline:
    found = clustered_interval(
        correct - other, np.asarray(contributors), confidence=confidence, resamples=RESAMPLES, seed=seed
    )
    return Baseline(name, float(other.mean()), Share(found.mean, found.low, found.high))


def calibration_error(probabilities: Floats) -> float:
    """Expected calibration error: how far stated confidence and accuracy lie apart, over bins of confidence.

    Args:
        probabilities: of the right order (pairs); a confident mistake is near 0.
    """
    confidence, correct = np.maximum(probabilities, 1 - probabilities), right(probabilities - 0.5)
    bins = np.minimum(((confidence - 0.5) * 2 * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [
        abs(float(confidence[bins == number].sum() - correct[bins == number].sum()))
        for number in range(CALIBRATION_BINS)
    ]
    return sum(gaps) / len(probabilities)
