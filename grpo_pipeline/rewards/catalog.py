"""All rewards by name: training, evaluation and ranking pick from here.

A reward is a plain picklable function `(completions, **columns) -> list[float | None]`. The columns, one value for each
completion: `chosen` (the correction), `rejected` (the answer it corrects), `question` (the prompt as plain text) and
`cut` (whether the completion was cut). None means that the reward does not apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from grpo_pipeline.rewards import guards, similarity, tool_calls

Reward = Callable[..., list[float | None]]

REWARDS: dict[str, Reward] = {
    "similarity": similarity.similarity,
    "closeness": similarity.closeness,
    "tool_call": tool_calls.tool_call,
    "repetition": guards.repetition,
    "length_ratio": guards.length_ratio,
    "empty": guards.empty,
    "prompt_copy": guards.prompt_copy,
    "leaked_thinking": guards.leaked_thinking,
    "truncated": guards.truncated,
}


def score(
    weights: Mapping[str, float], completions: Sequence[str], **columns: Sequence[object]
) -> dict[str, list[float | None]]:
    """Every weighted reward's scores by name, in the order of the weights."""
    return {name: REWARDS[name](completions, **columns) for name in weights}


def total(scores: Mapping[str, Sequence[float | None]], weights: Mapping[str, float]) -> list[float | None]:
    """The weighted sum of each completion's scores that apply; None where none does."""
    sums: list[float | None] = []
    for row in zip(*(scores[name] for name in weights), strict=True):
        applied = [weight * value for weight, value in zip(weights.values(), row, strict=True) if value is not None]
        sums.append(sum(applied) if applied else None)
    return sums
