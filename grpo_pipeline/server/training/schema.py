"""Launching runs, and how far they are."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from grpo_pipeline.server.models.schema import Judgement
from grpo_pipeline.server.schema import Answer, Body
from grpo_pipeline.training.settings import ProfileName

StepStatus = Literal["waiting", "running", "done", "failed", "skipped"]


class TrainBody(Body):
    """Which week to train, and how."""

    week: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = Field(
        None, description="Monday of the week; unset: the last complete one."
    )
    profile: ProfileName | None = Field(None, description="Hardware profile; unset: the project's.")
    force: bool = Field(
        False, strict=True, description="Also with too few new pairs, and again on data that was decided on."
    )


class ToolCallingBody(Body):
    """Training on synthetic tool-calling scenarios takes no choices."""


class LaunchAnswer(Answer):
    """A run that was launched."""

    run_id: UUID = Field(description="The run.")
    job: str = Field(description="The job it runs.")
    week: str | None = Field(description="The week it is about.")
    new_pairs: int | None = Field(description="New pairs up to that week.")
    message: str = Field(description="What it does.")
    url: str = Field(description="Its page in the Dagster UI.")
    status_url: str = Field(description="Where this API says how far it is.")


class Step(Answer):
    """One step of a run."""

    name: str = Field(description="The asset it makes.")
    status: StepStatus = Field(description="How far it is.")
    seconds: float | None = Field(description="How long it took; null before its end.")


class MetricsRow(Answer):
    """What training measured at one optimizer step."""

    phase: str = Field(description="`warm start` or `GRPO`.")
    step: int = Field(description="The optimizer step of that phase.")
    seconds: float | None = Field(description="How long it took.")
    values: dict[str, float] = Field(description="Loss, reward and what else was measured, by name.")


class RunAnswer(Answer):
    """How far a run is."""

    run_id: UUID = Field(description="The run.")
    job: str = Field(description="The job it runs.")
    status: str = Field(description="Dagster's status, such as QUEUED, STARTED, SUCCESS, FAILURE or CANCELED.")
    week: str | None = Field(description="The week it is about; null for a range of weeks.")
    started_at: float | None = Field(description="When it began, in seconds since 1970.")
    ended_at: float | None = Field(description="When it ended.")
    steps: list[Step] = Field(description="Its steps, in their order.")
    progress: float = Field(ge=0, le=1, description="Share of the steps that are done.")
    metrics: list[MetricsRow] = Field(description="The last training metrics that it wrote.")
    verdict: Judgement | None = Field(description="What was decided in it; null before its end.")
    url: str = Field(description="Its page in the Dagster UI.")
