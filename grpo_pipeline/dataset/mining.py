"""Pairs from thumbs: a liked and a disliked answer to the same prompt are a preference nobody had to write.

Votes are matched in the order they came, so a later vote never changes an earlier pair. Each vote is used once, and
an answer that was voted both ways says nothing and is not used.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from grpo_pipeline.dataset.prompts import normalized, same_prompt_key, tools_key
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.weeks import Week

NAMESPACE = uuid.UUID("6b1c7c1e-53a5-5f0b-9d6c-2f6f1a7f4c55")
OTHER = {"up": "down", "down": "up"}

MINED_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "week": pl.String,
    "first_week": pl.String,
    "created_at": pl.Datetime("us", "UTC"),
    "user_ids": pl.List(pl.String),
    "source_ids": pl.List(pl.String),
    "source": pl.String,
    "prompt": pl.String,
    "chosen": pl.String,
    "rejected": pl.String,
    "tools": pl.String,
}


@dataclass
class _Prompt:
    """The votes on one prompt that wait for their opposite, and the pairs made so far."""

    waiting: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {"up": {}, "down": {}})
    contested: set[str] = field(default_factory=set)
    voted: dict[str, str] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    compared: set[frozenset[str]] = field(default_factory=set)


def mined_id(up: str, down: str) -> str:
    """The id of the pair made from two votes, the same in every run."""
    return str(uuid.uuid5(NAMESPACE, f"{up}:{down}"))


def mine_pairs(votes: pl.DataFrame, settings: DatasetSettings) -> pl.DataFrame:
    """Every pair that the votes make, whatever their order in the frame, each dated by its later vote.

    `votes` has the columns of `votes.parquet` and may reach back further than the look-back.
    """
    prompts: dict[tuple[str, str], _Prompt] = {}
    rows = votes.sort("created_at", "id").iter_rows(named=True) if settings.mined_pairs_per_prompt else []
    for vote in rows:
        key = (same_prompt_key(vote["prompt"]), tools_key(vote["tools"]))
        week = Week.containing(vote["created_at"])
        _take(prompts.setdefault(key, _Prompt()), {**vote, "week": week.key}, week, settings)
    made = [pair for prompt in prompts.values() for pair in prompt.made]
    return pl.DataFrame(made, schema=MINED_SCHEMA, orient="row").sort("created_at", "id")


def _take(prompt: _Prompt, vote: dict[str, Any], week: Week, settings: DatasetSettings) -> None:
    answer, kind = normalized(vote["response"]), vote["vote"]
    if prompt.voted.setdefault(answer, kind) != kind:
        prompt.contested.add(answer)
        prompt.waiting[OTHER[kind]].pop(answer, None)
    if answer in prompt.contested:
        return
    oldest = week.shift(1 - settings.lookback_weeks).key
    recent = sum(pair["week"] >= oldest for pair in prompt.made)
    opposite = _latest_opposite(prompt, answer, kind, oldest) if recent < settings.mined_pairs_per_prompt else None
    if opposite is None:
        prompt.waiting[kind][answer] = vote
        return
    del prompt.waiting[OTHER[kind]][normalized(opposite["response"])]
    prompt.compared.add(frozenset((answer, normalized(opposite["response"]))))
    up, down = (vote, opposite) if kind == "up" else (opposite, vote)
    prompt.made.append(_pair(up, down))


def _latest_opposite(prompt: _Prompt, answer: str, kind: str, oldest: str) -> dict[str, Any] | None:
    candidates = [
        vote
        for other, vote in prompt.waiting[OTHER[kind]].items()
        if vote["week"] >= oldest and frozenset((answer, other)) not in prompt.compared
    ]
    return max(candidates, key=lambda vote: (vote["created_at"], vote["id"]), default=None)


def _pair(up: dict[str, Any], down: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": mined_id(up["id"], down["id"]),
        "week": max(up["week"], down["week"]),
        "first_week": min(up["week"], down["week"]),
        "created_at": max(up["created_at"], down["created_at"]),
        "user_ids": [up["user_id"], down["user_id"]],
        "source_ids": [up["id"], down["id"]],
        "source": "mined",
        "prompt": up["prompt"],
        "chosen": up["response"],
        "rejected": down["response"],
        "tools": up["tools"],
    }
