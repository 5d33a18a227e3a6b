"""Settings of the reward model, each also an environment variable `GRPO_REWARD_MODEL__<NAME>`.

How much it counts in training is `reward_model` in GRPO_TRAINING__REWARD_WEIGHTS; a weight of 0 makes none.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RewardModelSettings(BaseModel):
    """How a reward model is made, and what it must show before it counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pairs: int | None = Field(
        None,
        ge=1,
        description="Most pairs it learns from, chosen by a stable hash; unset: 4000 on a GPU, 160 on a CPU.",
    )
    max_held_out_pairs: int | None = Field(
        None, ge=1, description="Most held-out pairs it is judged on; unset: 1000 on a GPU, 80 on a CPU."
    )
    min_pairs: int = Field(40, ge=10, description="Training pairs below which none is made.")
    min_contributors: int = Field(8, ge=2, description="Held-out contributors below which it is not used.")
    heads: int = Field(16, ge=2, description="Heads of the ensemble, each fitted to other contributors.")
    folds: int = Field(5, ge=2, description="Parts of the cross-validation, each of other contributors.")
    lora_from_pairs: int = Field(
        800,
        ge=1,
        description="Pairs from which a LoRA reward model is trained as well; the better in cross-validation is used.",
    )
    lora_epochs: float = Field(1.0, gt=0, description="Passes over the pairs of the LoRA reward model.")
    lora_learning_rate: float = Field(1e-4, gt=0, description="Peak learning rate of the LoRA reward model.")
    lora_batch: int = Field(16, gt=0, description="Pairs in one optimizer step of the LoRA reward model.")
    batch_tokens: int | None = Field(
        None,
        ge=1,
        description="Tokens read at once, to lower when memory runs out; unset: 32768 on a GPU, 4096 on a CPU.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence of the two-sided intervals that decide.")
    max_length_correlation: float = Field(
        0.3, gt=0, le=1, description="Rank correlation of reward and answer length from which it is not used."
    )
    seed: int = Field(20260105, ge=0, description="Seed of folds, bootstraps and intervals.")
