"""Settings of the training stage, each also an environment variable `GRPO_TRAINING__<NAME>`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class TrainingSettings(BaseModel):
    """How training works; the defaults suit a first run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
