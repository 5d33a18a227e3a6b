"""Bradley-Terry heads on frozen features: an ensemble of logistic regressions on differences of features.

The probability that one answer is preferred is the logistic function of the difference of their values (Bradley and
Terry 1952). Each head is fitted to contributors drawn with replacement; where the heads disagree nobody knows, and the
value is lowered by their standard deviation (Coste et al. 2023, https://arxiv.org/abs/2310.02743).

scipy.optimize takes a while to import, so it is imported where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grpo_pipeline.reward_modelling.folds import Fold

Floats = NDArray[np.float64]
# Inverse strengths of the L2 penalty that cross-validation chooses from; features have unit variance.
CANDIDATES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
MOST_ITERATIONS = 300


@dataclass(frozen=True)
class PairFeatures:
    """Features of both answers of every pair, (pairs, width) each."""

    chosen: Floats
    rejected: Floats

    def take(self, rows: NDArray[np.intp]) -> PairFeatures:
        """Only these pairs."""
        return PairFeatures(self.chosen[rows], self.rejected[rows])


@dataclass(frozen=True)
class Heads:
    """A fitted ensemble: `center` (width), `weights` (heads, width)."""

    center: Floats
    weights: Floats

    def values(self, features: Floats) -> Floats:
        """One value per answer (answers): the heads' mean less their standard deviation; the higher the better."""
        single = (features - self.center) @ self.weights.T
        return np.asarray(single.mean(axis=1) - single.std(axis=1))


def fit_heads(pairs: PairFeatures, units: NDArray[np.intp], strength: float, heads: int, seed: int) -> Heads:
    """Fit an ensemble.

    Args:
        pairs: features of the pairs.
        units: a number for each pair; pairs of equal numbers are drawn together.
        strength: inverse strength of the L2 penalty.
        heads: how many heads.
        seed: of the draws.
    """
    center, scale = _standard(pairs)
    differences = (pairs.chosen - pairs.rejected) / scale
    names, codes = np.unique(units, return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=heads)
    weights = [_fit(differences, drawn[codes].astype(np.float64), strength) for drawn in draws]
    return Heads(center, np.stack(weights) / scale)


def choose_strength(pairs: PairFeatures, folds: list[Fold]) -> float:
    """The penalty whose single head gives the pairs of the left-out folds the highest likelihood."""
    losses = []
    for strength in CANDIDATES:
        margins = np.concatenate([_left_out_margins(pairs, fold, strength) for fold in folds])
        losses.append(float(np.logaddexp(0, -margins).mean()))
    return CANDIDATES[int(np.argmin(losses))]


def left_out_values(
    pairs: PairFeatures, folds: list[Fold], units: NDArray[np.intp], strength: float, heads: int, seed: int
) -> tuple[Floats, Floats]:
    """Values of every chosen and rejected answer (pairs each) by ensembles that saw nothing of their fold."""
    chosen, rejected = np.zeros(len(units)), np.zeros(len(units))
    for number, fold in enumerate(folds):
        fitted = fit_heads(pairs.take(fold.train), units[fold.train], strength, heads, seed + number)
        chosen[fold.test] = fitted.values(pairs.chosen[fold.test])
        rejected[fold.test] = fitted.values(pairs.rejected[fold.test])
    return chosen, rejected


def _left_out_margins(pairs: PairFeatures, fold: Fold, strength: float) -> Floats:
    fitted = pairs.take(fold.train)
    _, scale = _standard(fitted)
    weights = _fit((fitted.chosen - fitted.rejected) / scale, np.ones(len(fold.train)), strength)
    return np.asarray((pairs.chosen - pairs.rejected)[fold.test] / scale @ weights)


def _standard(pairs: PairFeatures) -> tuple[Floats, Floats]:
    answers = np.concatenate([pairs.chosen, pairs.rejected])
    spread = answers.std(axis=0)
    return answers.mean(axis=0), np.where(spread > 0, spread, 1.0)


def _fit(differences: Floats, counts: Floats, strength: float) -> Floats:
    """The weights (width) that minimize half their squared norm plus `strength` times the counted log-losses."""
    from scipy.optimize import minimize
    from scipy.special import expit

    def objective(weights: Floats) -> tuple[float, Floats]:
        margins = differences @ weights
        loss = 0.5 * weights @ weights + strength * (counts @ np.logaddexp(0, -margins))
        return float(loss), weights - strength * (differences.T @ (counts * expit(-margins)))

    start = np.zeros(differences.shape[1])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_ITERATIONS})
    return np.asarray(found.x)
