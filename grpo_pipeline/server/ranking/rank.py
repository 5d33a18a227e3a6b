"""Ranks a group of answers by the rewards that training uses, with the same code."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

from grpo_pipeline.conversation import plain_text
from grpo_pipeline.rewards.advantages import ScaleRewards, advantages
from grpo_pipeline.rewards.catalog import REWARDS, score, total
from grpo_pipeline.server.ranking.schema import Ranked, Ranking, RankingBody, RewardMeaning, RewardScore

DIFFERENCES_NAMED = 3
MISSING = {"chosen": "needs a reference", "rejected": "needs the rejected answer"}
SMALL = 1e-9

Scores = Mapping[str, Sequence[float | None]]


def rank(
    body: RankingBody,
    responses: Sequence[str],
    weights: Mapping[str, float],
    scale: ScaleRewards,
    cut: Sequence[bool] | None = None,
) -> Ranking:
    """What training would make of a group of answers.

    Args:
        body: the prompt, and what answers to it are compared with.
        responses: the answers.
        weights: the weight of every reward in use.
        scale: what training divides the differences by.
        cut: which answers were cut at the longest length allowed; None where that is not known of any.
    """
    count = len(responses)
    given = {"question": plain_text(body.prompt_text), "chosen": body.reference, "rejected": body.rejected}
    columns: dict[str, Sequence[object]] = {name: [value] * count for name, value in given.items() if value is not None}
    columns["cut"] = cut or [False] * count
    notes = {name: _note(name, columns) for name in weights}
    scores: dict[str, list[float | None]] = {
        name: [None] * count if notes[name] else score({name: weights[name]}, responses, **columns)[name]
        for name in weights
    }
    totals = total(scores, weights)
    gains = advantages(totals, scale)
    ranked = [
        Ranked(
            index=index,
            rank=_rank(totals, index),
            total=totals[index],
            advantage=gains[index],
            rewards=[
                RewardScore(
                    name=name,
                    weight=weight,
                    score=scores[name][index],
                    note=None if scores[name][index] is not None else notes[name] or "does not apply to this answer",
                )
                for name, weight in weights.items()
            ],
            why=_why(scores, weights, index),
        )
        for index in range(count)
    ]
    best = min((item for item in ranked if item.rank is not None), key=lambda item: item.rank or 0, default=None)
    return Ranking(
        responses=ranked,
        best=best.index if best else None,
        scale_rewards=scale,
        meanings=[RewardMeaning(name=name, meaning=_meaning(name)) for name in weights],
    )


def _note(name: str, columns: Mapping[str, object]) -> str | None:
    """Why a reward cannot be computed from these columns; None where it can."""
    asked = inspect.signature(REWARDS[name]).parameters.values()
    needed = [part.name for part in asked if part.kind != inspect.Parameter.VAR_KEYWORD and part.name != "completions"]
    missing = [MISSING.get(part, f"needs {part}") for part in needed if part not in columns]
    return " and ".join(missing) or None


def _meaning(name: str) -> str:
    return (inspect.getdoc(REWARDS[name]) or name).splitlines()[0]


def _rank(totals: Sequence[float | None], index: int) -> int | None:
    own = totals[index]
    if own is None:
        return None
    return 1 + sum(other is not None and other > own + SMALL for other in totals)


def _why(scores: Scores, weights: Mapping[str, float], index: int) -> str:
    differences = {}
    for name, weight in weights.items():
        own = scores[name][index]
        known = [value for value in scores[name] if value is not None]
        if own is not None:
            differences[name] = weight * (own - sum(known) / len(known))
    largest = sorted((item for item in differences.items() if abs(item[1]) > SMALL), key=lambda item: -abs(item[1]))
    if not largest:
        return "like the rest of the group"
    return (
        ", ".join(f"{name} {value:+.3f}" for name, value in largest[:DIFFERENCES_NAMED]) + " against the group's mean"
    )
