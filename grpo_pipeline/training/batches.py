"""Which examples make up a step, and how a step's batch is split over processes and accumulated passes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from grpo_pipeline.errors import PipelineError

# Batches whose examples are sorted by length together: padding falls, and batches stay mixed.
POOLED_BATCHES = 8

ItemT = TypeVar("ItemT")


def process_rank() -> int:
    """This process's number among those of the run, the first being 0."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_share(batch: int, setting: str) -> int:
    """How many of a step's sequences are this process's.

    Raises:
        PipelineError: the batch cannot be shared evenly between the processes.
    """
    processes = process_count()
    share, rest = divmod(batch, processes)
    if rest or not share:
        raise PipelineError(
            f"{setting} gives {batch} sequences a step, which {processes} processes cannot share evenly: "
            f"choose a multiple of {processes}."
        )
    return share


def split_batch(batch: int, micro_batch: int, setting: str) -> tuple[int, int]:
    """The largest micro batch up to the one wanted that divides a process's share, and how many make up the share."""
    share = process_share(batch, setting)
    size = next(size for size in range(min(micro_batch, share), 0, -1) if share % size == 0)
    return size, share // size


def schedule(items: Sequence[ItemT], batch: int, steps: int, seed: int, length: Callable[[ItemT], int]) -> list[ItemT]:
    """The examples of every step one after the other: shuffled anew each pass, with like lengths in one batch.

    It is decided as a whole before training, so a run that is taken up again sees exactly the same examples.
    """
    shuffle = random.Random(seed)
    drawn: list[ItemT] = []
    while len(drawn) < batch * steps:
        drawn.extend(shuffle.sample(items, len(items)))
    batches: list[Sequence[ItemT]] = []
    for start in range(0, batch * steps, batch * POOLED_BATCHES):
        pool = sorted(drawn[start : min(start + batch * POOLED_BATCHES, batch * steps)], key=length)
        pooled = [pool[first : first + batch] for first in range(0, len(pool), batch)]
        batches.extend(shuffle.sample(pooled, len(pooled)))
    return [item for group in batches for item in group]
