"""Settings of the evaluation stage, each also an environment variable `GRPO_EVALUATION__<NAME>`."""

from __future__ import annotations

from pydantic import Field

from grpo_pipeline.gates.settings import GateSettings


class EvaluationSettings(GateSettings):
    """How candidates are measured and what they must show; what is unset comes from the hardware."""

    max_pairs: int | None = Field(
        None,
        ge=1,
        description="Most held-out pairs measured, chosen by a stable hash; unset: 1500 on a GPU, all of half a year "
        "at 300 pairs a week; 60 on a CPU.",
    )
    answers_per_prompt: int | None = Field(
        None, ge=1, description="Answers sampled for every held-out prompt; unset: 4 on a GPU, 2 on a CPU."
    )
    kl_answers: int | None = Field(
        None,
        ge=0,
        description="Answers per prompt along which the distance from the base model (KL) is measured, 0 for none; "
        "unset: 1.",
    )
    regression_items: int | None = Field(
        None,
        ge=0,
        description="Most requests of each family of the regression suite, 0 for none; unset: all on a GPU, 10 on a "
        "CPU.",
    )
    max_new_tokens: int | None = Field(
        None, ge=1, description="Longest sampled answer in tokens; unset: 512 on a GPU, 64 on a CPU."
    )
    max_prompt_tokens: int | None = Field(
        None,
        ge=1,
        description="Longest prompt in tokens, tools included; pairs with a longer one are left out and counted. "
        "Unset: 2048 on a GPU, 512 on a CPU.",
    )
    max_scored_tokens: int | None = Field(
        None,
        ge=1,
        description="First tokens of a chosen or rejected answer that are scored; unset: 1024 on a GPU, 256 on a CPU.",
    )
    batch_size: int = Field(16, ge=1, description="Pairs computed at once; lower it when memory runs out.")
    temperature: float = Field(0.7, gt=0, description="Sampling temperature, the same for every model.")
