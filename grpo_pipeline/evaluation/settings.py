"""Settings of the evaluation stage, each also an environment variable `GRPO_EVALUATION__<NAME>`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class EvaluationSettings(BaseModel):
    """How evaluation works; the defaults suit a first run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
