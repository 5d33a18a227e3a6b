"""Model versions as the API shows them, and what it takes to change which one is in use."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from grpo_pipeline.registry.model_version import ModelStatus, ModelVersion
from grpo_pipeline.registry.registry import Promotion
from grpo_pipeline.server.schema import Answer, Body, Name
from grpo_pipeline.verdict import Status


class Judgement(Answer):
    """What the evaluation of a version came to."""

    status: Status = Field(description="`pass`, `fail`, `inconclusive` or `skipped`.")
    reason: str = Field(description="Why, in words.")


class Model(Answer):
    """One trained policy."""

    version: str = Field(description="Its name: the week and the start of its content's hash.")
    week: str = Field(description="Monday of the week it was trained on.")
    base_model: str = Field(description="The model that its adapter goes on.")
    status: ModelStatus = Field(description="`champion` is the one in use.")
    status_reason: str | None = Field(description="Why it has this status.")
    verdict: Judgement | None = Field(description="What its evaluation came to; none before it.")
    metrics: dict[str, Any] = Field(description="What was measured of it.")
    adapter_location: str | None = Field(description="Where its LoRA adapter is.")
    dataset_hash: str | None = Field(description="The data it was trained on.")
    config_hash: str | None = Field(description="The settings it was trained with.")
    created_at: datetime | None = Field(description="When it was registered.")
    promoted_at: datetime | None = Field(description="When it came into use.")
    promoted_by: str | None = Field(description="Who put it in use.")

    @classmethod
    def of(cls, model: ModelVersion) -> Model:
        """A version of the registry."""
        return cls.model_validate(model.as_json())


class Models(Answer):
    """Every trained policy."""

    models: list[Model] = Field(description="The latest week first.")


class PromotionBody(Body):
    """Why a version shall be in use."""

    reason: Name = Field(description="Why, for the registry.")
    force: bool = Field(
        False, strict=True, description="Also where it did not pass, was rejected, or is of an older week."
    )


class RollbackBody(Body):
    """Why the champion shall not be in use any more."""

    reason: Name = Field(description="Why, for the registry.")


class PromotionAnswer(Answer):
    """Which version is in use now."""

    outcome: Literal["promoted", "already_champion"] = Field(description="Whether that changed anything.")
    reason: str = Field(description="Why.")
    champion: Model = Field(description="The version in use.")
    previous: Model | None = Field(description="The one in use before, where that changed.")

    @classmethod
    def of(cls, promotion: Promotion) -> PromotionAnswer:
        """What came of a promotion that was not refused."""
        shown = {
            name: Model.of(model) if model else None
            for name, model in (("champion", promotion.champion), ("previous", promotion.previous))
        }
        return cls.model_validate({"outcome": promotion.outcome, "reason": promotion.reason, **shown})


class Assignment(Answer):
    """The version that answers a user."""

    model_version: str | None = Field(
        description="Ask this model, and post it as `modelVersion` with feedback; null before the first promotion: ask "
        "the base model."
    )
    role: Literal["champion", "challenger", "base"] = Field(description="Why it is this one.")
