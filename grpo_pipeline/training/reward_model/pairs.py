"""The pairs that a reward model learns from and is judged on, as the policy reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.reward_modelling.folds import Groups
from grpo_pipeline.training.loading import render_prompt
from grpo_pipeline.training.reward_model.features import Answered

COLUMNS = ("id", "contributor", "co_contributor", "cluster", "prompt", "chosen", "rejected", "tools")


@dataclass(frozen=True)
class Limits:
    """Longest prompt and answer in tokens; longer prompts are left out, longer answers cut."""

    prompt: int
    answer: int


@dataclass(frozen=True)
class RewardPairs:
    """Pairs as text and as tokens, all of one length; `left_out` counts those that cannot be read."""

    ids: Sequence[str]
    question: Sequence[str]
    chosen: Sequence[str]
    rejected: Sequence[str]
    answered: Sequence[Answered]
    groups: Groups
    left_out: int

    def __len__(self) -> int:
        return len(self.ids)


def read_pairs(path: Path, tokenizer: PreTrainedTokenizerBase, limits: Limits, most: int) -> RewardPairs:
    """At most so many pairs of a dataset's file, always the same ones first: in the order of a hash of their ids.

    Raises:
        PipelineError: the file lacks a column.
    """
    frame = pl.read_parquet(path)
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise PipelineError(f"{path} lacks the columns {', '.join(missing)}: materialize preference_dataset again.")
    rows = frame.select(COLUMNS).rows(named=True)
    rows.sort(key=lambda row: hashlib.sha256(row["id"].encode()).digest())
    answered: list[Answered] = []
    kept: list[dict[str, Any]] = []
    for row in rows:
        if len(kept) == most:
            break
        read = _read(tokenizer, row, limits)
        if read is not None:
            answered.append(read)
            kept.append(row)
    texts = [[as_text(tokenizer, tokens) for tokens in item.answers] for item in answered]
    return RewardPairs(
        ids=[row["id"] for row in kept],
        question=["\n".join(message["content"] for message in row["prompt"]) for row in kept],
        chosen=[first for first, _ in texts],
        rejected=[second for _, second in texts],
        answered=answered,
        groups=Groups(
            [row["contributor"] for row in kept],
            [row["co_contributor"] for row in kept],
            [row["cluster"] for row in kept],
        ),
        left_out=min(len(rows), most) - len(kept) if len(kept) < most else 0,
    )


def _read(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], limits: Limits) -> Answered | None:
    try:
        prompt = tokenizer(render_prompt(tokenizer, row["prompt"], row["tools"]))["input_ids"]
    except (TemplateError, ValueError):
        return None
    answers = [answer_tokens(tokenizer, row[side][-1]["content"], limits.answer) for side in ("chosen", "rejected")]
    if len(prompt) > limits.prompt or not all(answers):
        return None
    return Answered(prompt, answers)


def answer_tokens(tokenizer: PreTrainedTokenizerBase, answer: str, most: int) -> list[int]:
    """An answer's first tokens, without an end: sampled answers that were cut have none either."""
    return list(tokenizer(answer, add_special_tokens=False)["input_ids"][:most])


def as_text(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """The text of an answer as far as it is read."""
    return str(tokenizer.decode(list(tokens)))
