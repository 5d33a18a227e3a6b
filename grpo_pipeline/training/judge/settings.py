"""Settings of the judge, each an environment variable `GRPO_JUDGE__<NAME>`, also read from `.env`.

How much it counts is `judge` in GRPO_TRAINING__REWARD_WEIGHTS. It judges in training only, never in an evaluation: a
policy that has learned to please a judge must not be promoted by it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.config_file import faults_of


class JudgeSettings(BaseSettings):
    """Which model compares answers with corrections, and how often it may be asked."""

    model_config = SettingsConfigDict(
        env_prefix="GRPO_JUDGE__", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    url: str | None = Field(
        None, description="Base URL of an OpenAI-compatible API, such as http://localhost:8000/v1; unset: no judge."
    )
    model: str | None = Field(None, description="Name of the model that judges.")
    api_key: SecretStr | None = Field(None, description="Sent as bearer token; in no manifest, log or config file.")
    timeout: float = Field(30.0, gt=0, description="Seconds that one comparison may take.")
    budget: int = Field(2000, ge=0, description="Most comparisons of one training run; two are made for an answer.")
    concurrency: int = Field(8, ge=1, description="Comparisons under way at a time.")

    @field_validator("url")
    @classmethod
    def _plain_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address that starts with http:// or https://")
        if parts.username or parts.password or parts.query:
            raise ValueError("give the key as GRPO_JUDGE__API_KEY, not in the address")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _address_and_model(self) -> JudgeSettings:
        if (self.url is None) != (self.model is None):
            raise ValueError("give both GRPO_JUDGE__URL and GRPO_JUDGE__MODEL, or neither")
        return self

    @property
    def identity(self) -> dict[str, Any] | None:
        """What the rewards depend on, without the key; None where there is no judge."""
        if self.url is None:
            return None
        return {"url": self.url, "model": self.model, "budget": self.budget}


def load_judge_settings() -> JudgeSettings:
    """The judge's settings from the environment and `.env`.

    Raises:
        PipelineError: a variable has a value that its setting does not take.
    """
    try:
        return JudgeSettings()
    except ValidationError as error:
        raise PipelineError(f"Judge settings that cannot be used: {faults_of(error, 'GRPO_JUDGE')}.") from error
