"""The held-out pairs that are measured: read, capped and written as the model reads them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from grpo_pipeline.conversation import Message
from grpo_pipeline.errors import PipelineError

COLUMNS = ("id", "week", "contributor", "prompt", "chosen", "rejected", "tools")


@dataclass(frozen=True)
class HeldOutPair:
    """One held-out pair: the conversation up to the answer, the correction, and the answer that it replaced."""

    id: str
    week: str
    """Monday of the week that it is from."""
    contributor: str | None
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    tools: str | None


def read_pairs(path: Path, most: int) -> list[HeldOutPair]:
    """At most so many held-out pairs, always the same ones first: in the order of a hash of their ids.

    Raises:
        PipelineError: the file lacks a column.
    """
    frame = pl.read_parquet(path)
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise PipelineError(f"The held-out pairs {path} lack the columns {', '.join(missing)}.")
    rows = frame.select(COLUMNS).rows(named=True)
    rows.sort(key=lambda row: hashlib.sha256(row["id"].encode()).digest())
    return [
        HeldOutPair(
            row["id"],
            row["week"],
            row["contributor"],
            tuple(row["prompt"]),
            row["chosen"][-1]["content"],
            row["rejected"][-1]["content"],
            row["tools"],
        )
        for row in rows[:most]
    ]
