"""Settings of the tool-calling track, each also an environment variable `GRPO_TOOL_CALLING__<NAME>`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from grpo_pipeline.training.settings import TrainingSettings


class ScenarioSettings(BaseModel):
    """What the synthetic scenarios are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: int | None = Field(None, ge=1, description="Scenarios to train on; unset: 20,000 on a GPU, 6,000 on a CPU.")
    held_out: int | None = Field(
        None,
        ge=1,
        description="Scenarios to measure on, of tasks that training never saw; unset: 1,000 on a GPU, 300 on a CPU.",
    )
    seed: int = Field(0, ge=0, description="Seed of the scenarios: the same seed gives the same scenarios.")


class ToolCallingSettings(BaseModel):
    """The scenarios, and how the track trains where that differs from the weekly training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenarios: ScenarioSettings = ScenarioSettings()
    training: TrainingSettings = TrainingSettings()
