"""Settings of the served model, each also an environment variable `GRPO_SERVING__<NAME>`."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from grpo_pipeline.server.settings import from_environment
from grpo_pipeline.training.profiles import Hardware

EngineName = Literal["vllm", "transformers"]


class ServingSettings(BaseSettings):
    """Where the model is served, and by what."""

    model_config = SettingsConfigDict(env_prefix="GRPO_SERVING__", env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; off loopback only once keys are configured.")
    port: int = Field(8001, ge=0, le=65535, description="Port to listen on.")
    engine: Literal["auto", "vllm", "transformers"] = Field(
        "auto",
        description="What computes the answers: vllm, or transformers serve; auto: vllm where it is installed and "
        "there is a GPU.",
    )
    engine_args: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="More options for the engine, as on its command line: --gpu-memory-utilization 0.4"
    )
    poll_seconds: float = Field(
        2, gt=0, description="How often to look whether another version was promoted or rolled back."
    )
    start_seconds: float = Field(900, gt=0, description="Longest time the engine may take to start or load a model.")

    @field_validator("engine_args", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(shlex.split(value)) if isinstance(value, str) else value

    def chosen_engine(self, hardware: Hardware) -> EngineName:
        """The engine for a machine."""
        if self.engine != "auto":
            return self.engine
        return "vllm" if hardware.gpus and hardware.vllm else "transformers"


def load_serving_settings(**chosen: object) -> ServingSettings:
    """The settings from the environment and `.env`, with what the command line chose in their place.

    Raises:
        PipelineError: a variable has a value that its setting does not take.
    """
    return from_environment(ServingSettings, chosen)
