"""Settings of the dataset stage, each also an environment variable `GRPO_DATASET__<NAME>`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DatasetSettings(BaseModel):
    """Which pairs a week trains on, and which it keeps for the evaluation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lookback_weeks: int = Field(26, ge=1, description="Weeks a dataset reaches back, its own week included.")
    min_new_pairs: int = Field(
        100,
        ge=1,
        description="Pairs, to train on or held out, that must be new since the last trained week to train again.",
    )
    held_out_fraction: float = Field(
        0.2, gt=0, lt=1, description="Share of contributors (or prompts) whose pairs are never trained on."
    )
    hold_out_by: Literal["contributor", "prompt"] = Field(
        "contributor",
        description="What the split keeps whole. `contributor`: nobody is on both sides, and no prompt either. "
        "`prompt`: no prompt is on both sides; for feedback that comes from very few people.",
    )
    split_salt: str = Field(
        "grpo-pipeline",
        min_length=1,
        description="Mixed into the split's hash and the contributors' names; another value draws another split.",
    )
    leak_similarity: float = Field(
        0.7,
        ge=0.3,
        le=1,
        description="Estimated Jaccard similarity from which two prompts count as the same for the split.",
    )
    mined_pairs_per_prompt: int = Field(
        4, ge=0, description="Most pairs made from thumbs on one prompt within the look-back; 0 makes none."
    )
