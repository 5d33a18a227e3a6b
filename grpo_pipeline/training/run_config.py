"""The file that a training run is started with."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from grpo_pipeline.training.config_file import read_config
from grpo_pipeline.training.settings import TrainingSettings


class RunConfig(BaseModel):
    """What to train on, where to write it, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_dir: Path
    output_dir: Path
    home: Path
    seed: int | None = None
    champion_adapter: Path | None = None
    """The policy in use, on the same base model, for the method that goes on from it."""
    settings: TrainingSettings = TrainingSettings()
    reward_model_dir: Path | None = None
    """A reward model that passed its gate."""

    @property
    def seeded_settings(self) -> TrainingSettings:
        """The settings, with this run's own seed where it has one."""
        return self.settings if self.seed is None else self.settings.model_copy(update={"seed": self.seed})


def load_run_config(path: Path) -> RunConfig:
    """Read and check a run's config file.

    Raises:
        PipelineError: it cannot be read, or holds values that do not fit.
    """
    return read_config(path, RunConfig, "run config")
