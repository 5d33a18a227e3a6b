"""The file that a training run is started with."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from grpo_pipeline.errors import PipelineError
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
    try:
        return RunConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineError(f"The run config {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise PipelineError(f"The run config {path} cannot be used: " + "; ".join(faults) + ".") from error
