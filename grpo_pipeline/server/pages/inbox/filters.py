"""Which pairs the inbox shows, as the address of the page says it and as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.server.schema import storable
from grpo_pipeline.weeks import Week

Status = Literal["pending", "approved", "rejected"]
SEARCH_CHARS = 200
SEARCHED = ("prompt", "chosen", "rejected")


class InboxFilter(BaseModel):
    """The filters of one page; an empty one lets everything through."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Status | Literal["all"] = Field("pending", description="Review status.")
    week: str = Field("", description="The Monday of the week in which the pairs came in.")
    flag: str = Field("", max_length=60, description="What curation flagged them with.")
    model: str = Field("", max_length=200, description="The model version that answered.")
    q: str = Field("", max_length=SEARCH_CHARS, description="Text in the prompt or in an answer.")
    pair: UUID | None = Field(None, description="One pair, by its id.")
    older: str = Field("", max_length=100, description="Where the page before this one ended.")

    @field_validator("pair", mode="before")
    @classmethod
    def _no_pair(cls, value: object) -> object:
        return value or None

    @field_validator("week")
    @classmethod
    def _is_a_week(cls, key: str) -> str:
        try:
            return Week(key).key if key else ""
        except PipelineError as error:
            raise ValueError("give the Monday on which the week starts, such as 2026-11-02") from error

    @field_validator("model", "q", "flag")
    @classmethod
    def _can_be_asked_for(cls, text: str) -> str:
        return storable(text.strip(), 4 * SEARCH_CHARS)

    @field_validator("older")
    @classmethod
    def _is_a_place(cls, text: str) -> str:
        if text:
            Place.read(text)
        return text

    def address(self, path: str, **changed: object) -> str:
        """The address of the same page with other filters; what is not chosen is left out."""
        values = {**self.model_dump(mode="json"), **changed}
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        stated = {name: value for name, value in values.items() if value not in ("", None, defaults[name])}
        return f"{path}?{urlencode(stated)}" if stated else path


@dataclass(frozen=True)
class Place:
    """A pair's place among all, newest first."""

    created_at: datetime
    id: UUID

    @classmethod
    def read(cls, text: str) -> Place:
        """A place as an address holds it.

        Raises:
            ValueError: it is none.
        """
        moment, _, identity = text.partition("_")
        created_at = datetime.fromisoformat(moment)
        if created_at.tzinfo is None:
            raise ValueError("is no place among the pairs")
        return cls(created_at, UUID(identity))

    def __str__(self) -> str:
        return f"{self.created_at.isoformat()}_{self.id}"


def conditions(wanted: InboxFilter, flagged: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    """The `where` clause over `public.preference_pairs p`, and its values.

    Args:
        wanted: the filters.
        flagged: the ids that curation flagged with the flag asked for; None where none is.
    """
    found: list[str] = []
    values: dict[str, Any] = {}
    if wanted.pair:
        return "p.id = %(pair)s", {"pair": wanted.pair}
    if wanted.status != "all":
        found.append("p.review_status = %(status)s")
        values["status"] = wanted.status
    if wanted.week:
        week = Week(wanted.week)
        found.append("p.created_at >= %(start)s and p.created_at < %(end)s")
        values |= {"start": week.start, "end": week.end}
    if flagged is not None:
        found.append("p.id = any(%(flagged)s::uuid[])")
        values["flagged"] = list(flagged)
    if wanted.model:
        found.append("p.model_version = %(model)s")
        values["model"] = wanted.model
    if wanted.q:
        found.append("(" + " or ".join(f"strpos(lower(p.{name}), lower(%(q)s)) > 0" for name in SEARCHED) + ")")
        values["q"] = wanted.q
    if wanted.older:
        place = Place.read(wanted.older)
        found.append("(p.created_at, p.id) < (%(at)s, %(id)s)")
        values |= {"at": place.created_at, "id": place.id}
    return " and ".join(found) or "true", values
