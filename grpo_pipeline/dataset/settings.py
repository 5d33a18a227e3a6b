"""Settings of the dataset stage, each also an environment variable `GRPO_DATASET__<NAME>`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class DatasetSettings(BaseModel):
    """How dataset works; the defaults suit a first run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
