"""Settings of the curation stage, each also an environment variable `GRPO_CURATION__<NAME>`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class CurationSettings(BaseModel):
    """How curation works; the defaults suit a first run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
