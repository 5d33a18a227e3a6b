"""Which of two groups of prompts are near-duplicates of each other: every such pair, not only most of them.

Banding, as curation uses it, misses about one pair in a hundred at its threshold. For a split that must not leak that
is too many, and the two sides are small enough to compare signature by signature (64 million comparisons a second).
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from grpo_pipeline.near_duplicates import PERMUTATIONS, PROMPT_WIDTH, Signatures, signatures

# One block of counts stays in the processor's second cache.
BLOCK_ROWS = 64
BLOCK_COLUMNS = 4096


def near_pairs(left: Signatures, right: Signatures, threshold: float) -> NDArray[np.int64]:
    """Every row of `left` with every row of `right` at least as similar as the threshold, shape (n, 2)."""
    least = int(np.ceil(threshold * PERMUTATIONS - 1e-6))
    found = [np.empty((0, 2), dtype=np.int64)]
    for row in range(0, len(left), BLOCK_ROWS):
        for column in range(0, len(right), BLOCK_COLUMNS):
            block = _equal_numbers(left[row : row + BLOCK_ROWS], right[column : column + BLOCK_COLUMNS])
            found.append(np.argwhere(block >= least) + np.array([row, column]))
    return np.concatenate(found)


def _equal_numbers(left: Signatures, right: Signatures) -> NDArray[np.uint8]:
    """How many of their numbers each row of `left` shares with each row of `right`."""
    counts = np.zeros((len(left), len(right)), dtype=np.uint8)
    same = np.empty(counts.shape, dtype=np.bool_)
    for one, other in zip(np.ascontiguousarray(left.T), np.ascontiguousarray(right.T), strict=True):
        np.equal(one[:, None], other[None, :], out=same)
        counts += same.view(np.uint8)
    return counts


def similar_across(left: list[str], right: list[str], threshold: float) -> dict[str, set[str]]:
    """For each text on either side, the texts of the other side that are near-duplicates of it or equal to it."""
    pairs = near_pairs(signatures(left, PROMPT_WIDTH), signatures(right, PROMPT_WIDTH), threshold)
    similar: dict[str, set[str]] = defaultdict(set)
    for row, column in pairs.tolist():
        similar[left[row]].add(right[column])
        similar[right[column]].add(left[row])
    return dict(similar)
