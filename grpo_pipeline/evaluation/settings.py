"""Settings of the evaluation stage, each also an environment variable `GRPO_EVALUATION__<NAME>`."""

from __future__ import annotations

from pydantic import Field

from grpo_pipeline.gates.settings import GateSettings


class EvaluationSettings(GateSettings):
    """How candidates are measured and what they must show; the defaults suit a first run."""

    max_pairs: int | None = Field(
        None,
        ge=1,
        description="Most held-out pairs to measure on, chosen by a stable hash; unset: 400 on a GPU, 60 on a CPU.",
    )
    answers_per_prompt: int | None = Field(
        None, ge=1, description="Answers sampled for every held-out prompt; unset: 4 on a GPU, 2 on a CPU."
    )
    max_new_tokens: int | None = Field(
        None, ge=1, description="Longest sampled answer in tokens; unset: 512 on a GPU, 64 on a CPU."
    )
    max_prompt_tokens: int = Field(
        4096, ge=16, description="Tokens of a prompt that the model sees; of a longer one the last are kept."
    )
    max_scored_tokens: int = Field(
        1024, ge=1, description="Tokens of a chosen or rejected answer that are scored; the rest is left out."
    )
    temperature: float = Field(0.7, gt=0, description="Sampling temperature; the same for every model.")
    batch_size: int = Field(16, ge=1, description="Sequences computed at once; lower it when memory runs out.")
