"""Grouped cross-validation: no contributor and no near-duplicate prompt is on both sides of a fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Groups:
    """What pairs must not share across a fold: who gave them (one or two people) and which question they ask."""

    contributor: Sequence[str]
    co_contributor: Sequence[str | None]
    cluster: Sequence[str]

    def units(self, at_least: int) -> NDArray[np.intp]:
        """A number for each pair, equal where they are drawn together: by contributor, or by question where there
        are fewer contributors than asked for."""
        by_contributor = np.unique(np.asarray(self.contributor), return_inverse=True)[1]
        if len(np.unique(by_contributor)) >= at_least:
            return np.asarray(by_contributor, dtype=np.intp)
        return np.asarray(np.unique(np.asarray(self.cluster), return_inverse=True)[1], dtype=np.intp)


@dataclass(frozen=True)
class Fold:
    """Row numbers of the pairs to fit on and of those to score."""

    train: Indices
    test: Indices


def grouped_folds(groups: Groups, folds: int, seed: int) -> list[Fold]:
    """Every pair is scored once; a pair that shares a person or a question with the scored ones is not fitted on.

    Whole contributors make up a fold (whole questions where there are fewer than two contributors a fold), in sizes
    as even as a greedy draw makes them.
    """
    units = groups.units(2 * folds)
    by_question = len(set(groups.contributor)) < 2 * folds
    sizes = np.bincount(units)
    order = np.random.default_rng(seed).permutation(len(sizes))
    placed = np.zeros(len(sizes), dtype=np.intp)
    filled = np.zeros(folds, dtype=np.intp)
    for unit in order[np.argsort(-sizes[order], kind="stable")]:
        placed[unit] = np.argmin(filled)
        filled[placed[unit]] += sizes[unit]
    number = placed[units]
    return [_fold(groups, number == fold, by_question) for fold in range(folds) if (number == fold).any()]


def _fold(groups: Groups, scored: NDArray[np.bool_], by_question: bool) -> Fold:
    test = np.flatnonzero(scored).tolist()
    people = {name for row in test for name in (groups.contributor[row], groups.co_contributor[row]) if name}
    questions = {groups.cluster[row] for row in test}

    def apart(row: int) -> bool:
        if groups.cluster[row] in questions:
            return False
        return by_question or people.isdisjoint({groups.contributor[row], groups.co_contributor[row]})

    return Fold(
        np.asarray([row for row in np.flatnonzero(~scored).tolist() if apart(row)], dtype=np.intp),
        np.asarray(test, dtype=np.intp),
    )
