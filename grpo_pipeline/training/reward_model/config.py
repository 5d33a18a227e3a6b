"""What one reward model is asked to be, and how much of it the hardware allows."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from grpo_pipeline.reward_modelling.settings import RewardModelSettings
from grpo_pipeline.training.config_file import read_config
from grpo_pipeline.training.profiles import Hardware
from grpo_pipeline.training.settings import TrainingSettings

ON_GPU = {"max_pairs": 4000, "max_held_out_pairs": 1000, "batch_tokens": 32768}
ON_CPU = {"max_pairs": 160, "max_held_out_pairs": 80, "batch_tokens": 4096}


class RewardModelRun(BaseModel):
    """The content of the config file of one reward model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_dir: Path
    output_dir: Path
    home: Path
    training: TrainingSettings = TrainingSettings()
    """Of the policy that it is for: its base model, and how long prompts and answers are."""
    settings: RewardModelSettings = RewardModelSettings()


class Sizes(BaseModel):
    """How many pairs are read, and how many tokens at once; fields as in RewardModelSettings."""

    model_config = ConfigDict(frozen=True)

    max_pairs: int
    max_held_out_pairs: int
    batch_tokens: int


def resolve_sizes(settings: RewardModelSettings, hardware: Hardware) -> Sizes:
    """The settings, and the hardware's values where they are unset."""
    stated = {name: value for name in ON_CPU if (value := getattr(settings, name)) is not None}
    return Sizes.model_validate({**(ON_GPU if hardware.gpus else ON_CPU), **stated})


def read_run(path: Path) -> RewardModelRun:
    """The reward model that a config file asks for.

    Raises:
        PipelineError: the file cannot be read, or holds values that do not fit.
    """
    return read_config(path, RewardModelRun)
