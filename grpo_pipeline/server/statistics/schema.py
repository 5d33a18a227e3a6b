"""What feedback says so far, in numbers."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from grpo_pipeline.server.models.schema import Judgement
from grpo_pipeline.server.schema import Answer


class WeekCounts(Answer):
    """One week."""

    week: date = Field(description="Its Monday.")
    feedback: int = Field(description="Rows of feedback.")
    pairs: int = Field(description="Preference pairs.")


class SuccessRate(Answer):
    """How users judge the answers of one model version."""

    model_version: str | None = Field(description="null: feedback that names no version.")
    votes: int = Field(description="Thumbs and ratings that say up or down.")
    success_rate: float | None = Field(description="Share of them that say up; null without any.")
    low: float | None = Field(description="Lower end of its 95 % interval (Wilson).")
    high: float | None = Field(description="Upper end of it.")
    mean_score: float | None = Field(description="Mean score, from 1 to 5; null without any.")
    edits: int = Field(description="Answers that users corrected.")


class Stats(Answer):
    """Everything at a glance."""

    feedback: dict[str, int] = Field(description="Rows of feedback by type.")
    pairs: dict[str, int] = Field(description="Preference pairs by review status.")
    weeks: list[WeekCounts] = Field(description="The last weeks that have any, the latest first.")
    models: list[SuccessRate] = Field(description="Success by model version, the most votes first.")


class ToolCallingTraining(Answer):
    """What the last training on synthetic tool-calling scenarios came to."""

    held_out: int = Field(description="Held-out scenarios that were answered.")
    right: dict[str, int] = Field(description="Right answers by model: `base`, after `warm_start`, after `grpo`.")
    failures: dict[str, dict[str, int]] = Field(description="What was wrong with the others, by model and kind.")
    verdict: Judgement = Field(description="Whether GRPO is better than its own warm start.")


class ToolCallingStats(Answer):
    """What feedback says about tool calls."""

    feedback_with_tools: int = Field(description="Rows of feedback on answers of a model that was offered tools.")
    votes_with_tools: int = Field(description="Thumbs among them.")
    success_rate_with_tools: float | None = Field(description="Share of those that are up; null without any.")
    pairs_with_tools: int = Field(description="Preference pairs whose prompt offers tools.")
    pairs_that_call: int = Field(description="Those among them whose preferred answer calls a tool.")
    champion: str | None = Field(description="The version in use.")
    training: ToolCallingTraining | None = Field(
        None, description="The last training on synthetic scenarios; null before the first."
    )
    champion_metrics: dict[str, float] = Field(
        description="What was measured of the champion's tool calls, as the registry has it."
    )
