"""How a step's batch is split over processes and accumulated passes."""

from __future__ import annotations

import os

from grpo_pipeline.errors import PipelineError


def process_rank() -> int:
    """This process's number among those of the run, the first being 0."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def split_batch(batch: int, micro_batch: int, setting: str) -> tuple[int, int]:
    """The largest micro batch up to the one wanted that divides a process's share, and how many make up the share.

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
    size = next(size for size in range(min(micro_batch, share), 0, -1) if share % size == 0)
    return size, share // size
