"""The project's settings: every one is an environment variable that starts with `GRPO_`, also read from `.env`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from grpo_pipeline.alerts.settings import AlertSettings
from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.monitoring.settings import MonitoringSettings
from grpo_pipeline.reward_modelling.settings import RewardModelSettings
from grpo_pipeline.tool_calling.settings import ToolCallingSettings
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.weeks import Week, last_complete_week, weeks_between


class Settings(BaseSettings):
    """Where things are and how each stage works."""

    model_config = SettingsConfigDict(
        env_prefix="GRPO_", env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    home: Path = Field(Path(".grpo"), description="Folder of everything local: database, artifacts, models, runs.")
    database_url: str | None = Field(
        None, description="Postgres with the feedback, such as a Supabase URL; unset: the embedded server."
    )
    artifact_root: Path | None = Field(
        None, description="Folder of the artifact store; unset: `artifacts` in the home."
    )
    first_week: str = Field("2026-01-05", description="Monday of the first week of feedback.")
    grace_hours: float = Field(
        6, ge=0, description="Hours after a week's end before it is read, so that late rows are in."
    )
    curation: CurationSettings = CurationSettings()
    dataset: DatasetSettings = DatasetSettings()
    reward_model: RewardModelSettings = RewardModelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    tool_calling: ToolCallingSettings = ToolCallingSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    alerts: AlertSettings = AlertSettings()

    @field_validator("home", "artifact_root")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        return folder.expanduser().absolute() if folder else None

    @field_validator("database_url", "artifact_root", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("first_week")
    @classmethod
    def _is_a_monday(cls, key: str) -> str:
        try:
            return Week(key).key
        except PipelineError as error:
            raise ValueError(str(error)) from error

    @property
    def artifacts(self) -> Path:
        """Folder of the artifact store."""
        return self.artifact_root or self.home / "artifacts"

    @property
    def grace(self) -> timedelta:
        """How long after a week's end it may first be read."""
        return timedelta(hours=self.grace_hours)

    def complete_weeks(self, now: datetime | None = None) -> list[Week]:
        """Every week that can be read by now, earliest first."""
        return weeks_between(Week(self.first_week), last_complete_week(now or datetime.now(UTC), self.grace))

    def require_complete(self, week: Week) -> Week:
        """The week itself where it can be read by now.

        Raises:
            PipelineError: the week lies before the first one or is not over yet.
        """
        if week < Week(self.first_week):
            raise PipelineError(
                f"Week {week.key} lies before the first week {self.first_week}: choose a later one, or set "
                "GRPO_FIRST_WEEK to an earlier Monday."
            )
        ready = week.end + self.grace
        if ready > datetime.now(UTC):
            raise PipelineError(
                f"Week {week.key} is not complete: it can be read from {ready:%Y-%m-%d %H:%M} UTC on. "
                "Choose an earlier week."
            )
        return week


def load_settings() -> Settings:
    """The settings from the environment and `.env`.

    Raises:
        PipelineError: a variable has a value that its setting does not take.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = [
            f"GRPO_{'__'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise PipelineError("Settings that cannot be used: " + "; ".join(faults) + ".") from error
