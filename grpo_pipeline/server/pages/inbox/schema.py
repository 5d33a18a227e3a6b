"""What the inbox sends and gets back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from grpo_pipeline.server.schema import Answer, Body, Text

MOST_AT_ONCE = 200


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("lacks a time zone")
    return moment


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank: reject the pair instead")
    return text


Version = Annotated[datetime, AfterValidator(_aware)]


class SeenPair(Body):
    """A pair as the reviewer saw it."""

    id: UUID = Field(description="Its id.")
    version: Version = Field(description="When it last changed.")


class DecisionBody(Body):
    """A decision about one pair or many."""

    action: Literal["approve", "reject"] = Field(description="What to do.")
    pairs: list[SeenPair] = Field(min_length=1, max_length=MOST_AT_ONCE, description="The pairs.")


class EditBody(SeenPair):
    """Another kept answer for a pair, which is approved with it."""

    chosen: Annotated[Text, AfterValidator(_not_blank)] = Field(description="The kept answer from now on.")


class EditedText(Answer):
    """What the reviewer edits."""

    chosen: str = Field(description="The kept answer.")
    version: str = Field(description="When the pair last changed.")


class ShownPair(Answer):
    """A pair to show in place of what the page shows of it."""

    id: UUID = Field(description="Its id.")
    html: str = Field(description="The pair as the page shows it.")


class DecisionAnswer(Answer):
    """What became of a decision."""

    message: str = Field(description="In words.")
    pairs: list[ShownPair] = Field(description="The pairs as they are now.")
