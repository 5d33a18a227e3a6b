"""The rewards' names and how much each counts; light, so that settings can be checked against it."""

from __future__ import annotations

from collections.abc import Mapping

from grpo_pipeline.errors import PipelineError

DEFAULT_WEIGHTS: dict[str, float] = {
    "similarity": 1.0,
    "closeness": 0.5,
    "tool_call": 1.0,
    "repetition": 0.3,
    "length_ratio": 0.3,
    "empty": 0.3,
    "prompt_copy": 0.3,
    "leaked_thinking": 0.3,
    "truncated": 0.3,
}


# Rewards that need a model: each counts only in a run that has one.
MODEL_WEIGHTS: dict[str, float] = {"reward_model": 0.3, "judge": 0.5}


def resolve_weights(chosen: Mapping[str, float]) -> dict[str, float]:
    """The weight of every plain reward in use: the defaults, changed as asked; a weight of 0 takes a reward out.

    Raises:
        PipelineError: a name is no reward, or nothing is left.
    """
    possible = {**DEFAULT_WEIGHTS, **MODEL_WEIGHTS}
    unknown = sorted(set(chosen) - set(possible))
    if unknown:
        raise PipelineError(
            f"reward_weights names {', '.join(unknown)}, which is no reward: choose from {', '.join(possible)}."
        )
    weights = _in_use({name: chosen.get(name, weight) for name, weight in DEFAULT_WEIGHTS.items()})
    if not weights:
        raise PipelineError("reward_weights takes every reward out: leave at least one with a weight above 0.")
    return weights


def resolve_model_weights(chosen: Mapping[str, float]) -> dict[str, float]:
    """The weight of every reward that needs a model, for runs that have one: the defaults, changed as asked."""
    return _in_use({name: chosen.get(name, weight) for name, weight in MODEL_WEIGHTS.items()})


def _in_use(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: weight for name, weight in weights.items() if weight != 0}
