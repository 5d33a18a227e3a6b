"""What answers look like to a linear model: hashed character sequences of their beginnings."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

WIDTH = 4
BUCKETS = 1 << 12
# Style, refusals and tool calls show at the beginning of an answer.
READ_CHARACTERS = 256
# Frequencies are far below one; the penalty on weights is made for features of about this size.
SCALE = 30.0
ROWS_PER_CHUNK = 8_192
_FACTOR = np.uint32(0x9E3779B1)
_SHIFT = np.uint32(32 - 12)

Floats = NDArray[np.float64]


def differences(chosen: pl.Series, rejected: pl.Series) -> csr_array:
    """(pairs, buckets): how much more often each sequence of characters stands in chosen than in rejected answers."""
    return (_frequencies(chosen) - _frequencies(rejected)).tocsr()


def margins(chosen: pl.Series, rejected: pl.Series, weights: Floats, groups: NDArray[np.int64]) -> Floats:
    """By how much each chosen answer outweighs the rejected one.

    Args:
        weights: (groups, buckets) one model for each group.
        groups: which model judges which pair.
    """
    starts = range(0, len(chosen), ROWS_PER_CHUNK)
    chunks = [slice(start, start + ROWS_PER_CHUNK) for start in starts]
    found = [
        _mean_weights(chosen[chunk], weights, groups[chunk]) - _mean_weights(rejected[chunk], weights, groups[chunk])
        for chunk in chunks
    ]
    return np.concatenate(found) if found else np.zeros(0)


def _buckets(texts: pl.Series) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The bucket of every sequence of each text's beginning, and the positions at which the texts begin and end.

    Every text has at least one sequence.
    """
    padded = (texts.str.head(READ_CHARACTERS) + "\0" * WIDTH).cast(pl.Binary)
    content = np.frombuffer(b"".join(padded), dtype=np.uint8)
    ends = np.cumsum(padded.bin.size().to_numpy().astype(np.int64))
    windows = np.ndarray((len(content) - WIDTH + 1,), dtype="<u4", buffer=content, strides=(1,))
    # The last sequences of a text reach into the next one.
    own = np.ones(len(content), dtype=np.bool_)
    for offset in range(1, WIDTH):
        own[ends - offset] = False
    starts = np.concatenate(([0], ends)) - np.arange(len(ends) + 1) * (WIDTH - 1)
    return (windows[own[: len(windows)]] * _FACTOR) >> _SHIFT, starts


def _frequencies(texts: pl.Series) -> csr_array:
    buckets, starts = _buckets(texts)
    lengths = np.diff(starts)
    return csr_array((np.repeat(SCALE / lengths, lengths), buckets.astype(np.int32), starts), (len(texts), BUCKETS))


def _mean_weights(texts: pl.Series, weights: Floats, groups: NDArray[np.int64]) -> Floats:
    buckets, starts = _buckets(texts)
    lengths = np.diff(starts)
    sums = np.add.reduceat(weights.ravel()[buckets + np.repeat(groups * BUCKETS, lengths)], starts[:-1])
    means: Floats = SCALE * sums / lengths
    return means
