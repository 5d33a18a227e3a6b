"""Finds pairs whose two answers are probably the wrong way round, by what all the other people prefer.

A linear model of preference learns from the pairs of some contributors and judges those of the others, as in confident
learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068). It only speaks in weeks whose preferences it can
tell: a shared style is easy, facts are not.
"""

from __future__ import annotations

import zlib

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit

from grpo_pipeline.curation.features import BUCKETS, Floats, differences, margins
from grpo_pipeline.curation.settings import CurationSettings

FOLDS = 5
# More pairs make the model hardly better, and a week slower.
LEARNED_PAIRS = 2_000
ITERATIONS = 40
PENALTY = 1e-2


def mislabeled(pairs: pl.DataFrame, settings: CurationSettings) -> pl.DataFrame:
    """Rows that the others' preferences turn round clearly, in a week where they foretell nearly all other pairs.

    Clearly is at least the set share of the median pair's margin, in the other direction. Nobody's own pairs have a
    say in how they are judged; which pairs the model learns from hangs on their texts alone.
    """
    judged = pairs.sort("chosen_digest", "rejected_digest", "prompt_digest", "row")
    folds = _folds(judged)
    if len(judged) < settings.mislabeled_min_pairs or len(np.unique(folds[:LEARNED_PAIRS])) < FOLDS:
        return _named(judged.clear())
    preferred = margins(judged["same_chosen"], judged["same_rejected"], _models(judged, folds), folds)
    if np.mean(preferred > 0) < settings.mislabeled_accuracy:
        return _named(judged.clear())
    turned = preferred <= -settings.mislabeled_margin * np.median(preferred)
    return _named(judged.filter(pl.Series(turned, dtype=pl.Boolean)))


def _folds(pairs: pl.DataFrame) -> NDArray[np.int64]:
    """A number for each contributor; a pair of nobody known counts as one of its own."""
    keys = pairs.select(pl.coalesce("user_id", "id")).to_series()
    hashes = pl.Series("hash", [zlib.crc32(key.encode()) for key in keys], dtype=pl.UInt32)
    folds: NDArray[np.int64] = (hashes.rank("dense").cast(pl.Int64) % FOLDS).to_numpy()
    return folds


def _models(pairs: pl.DataFrame, folds: NDArray[np.int64]) -> Floats:
    """(folds, buckets): for each fold, a model of preference that has seen none of it."""
    seen = pairs.head(LEARNED_PAIRS)
    features, known = differences(seen["same_chosen"], seen["same_rejected"]), folds[:LEARNED_PAIRS]
    return np.stack([_fit(features[np.flatnonzero(known != fold)]) for fold in range(FOLDS)])


def _fit(features: csr_array) -> Floats:
    """Weights of a logistic model by which the chosen answer of every pair is preferred."""
    rows = features.shape[0]

    def loss(weights: Floats) -> tuple[float, Floats]:
        preferred = features @ weights
        slope = -expit(-preferred) / rows
        value = float(np.logaddexp(0.0, -preferred).mean() + PENALTY / 2 * weights @ weights)
        return value, features.T @ slope + PENALTY * weights

    found: Floats = minimize(loss, np.zeros(BUCKETS), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}).x
    return found


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        "row", rule=pl.lit("mislabeled"), detail=pl.lit("the others' preferences turn its answers round")
    )
