"""Sequences that begin alike, as those of one agent do: the same system message, the same tools.

What it buys: a model reads what they share once. A warm-start step on eight requests to an agent with three tools takes
5.8 s where TRL's takes 25.7 s (`make bench-training`). The gradient is that of the same function, as the shared tokens'
keys and values are part of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

# Reading in two parts has a cost of its own: with less than this share of the tokens spared it is not worth it.
WORTHWHILE = 1 / 3


@dataclass(frozen=True)
class Beginning:
    """Sequences, by number, that share their first tokens."""

    members: tuple[int, ...]
    tokens: tuple[int, ...]


def shared_beginnings(sequences: Sequence[Sequence[int]], limits: Sequence[int]) -> list[Beginning]:
    """Sort sequences into groups that begin alike, such that as few tokens as possible are left to read.

    Args:
        sequences: token ids.
        limits: how many of each one's first tokens may be read apart from the rest.
    """
    every = [tuple(sequence[:limit]) for sequence, limit in zip(sequences, limits, strict=True)]
    order = sorted(range(len(every)), key=every.__getitem__)
    free = [every[number] for number in order]
    shared = [0, *(_common(one, other) for one, other in pairwise(free))]
    # What is spared at most among the first so many in order, and where the last group of that begins.
    spared, begins = [0], list[int]()
    for end in range(1, len(free) + 1):
        common, best = len(free[end - 1]), (spared[end - 1], end - 1)
        for first in range(end - 2, -1, -1):
            common = min(common, shared[first + 1])
            if common == 0:
                break
            best = max(best, (spared[first] + (end - 1 - first) * common, first))
        spared.append(best[0])
        begins.append(best[1])
    found: list[Beginning] = []
    end = len(free)
    while end:
        first = begins[end - 1]
        common = min([len(free[first]), *shared[first + 1 : end]])
        found.append(Beginning(tuple(order[first:end]), free[first][:common]))
        end = first
    return found[::-1]


def worth_sharing(sequences: Sequence[Sequence[int]], beginnings: Sequence[Beginning]) -> bool:
    """Whether reading beginnings apart spares enough of the tokens."""
    if not all(beginning.tokens for beginning in beginnings):
        return False
    spared = sum((len(beginning.members) - 1) * len(beginning.tokens) for beginning in beginnings)
    return spared >= WORTHWHILE * sum(len(sequence) for sequence in sequences)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
