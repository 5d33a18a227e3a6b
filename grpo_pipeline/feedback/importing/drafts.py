"""One row of feedback as a record gives it, and the checks that make it a row the database takes."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from grpo_pipeline.feedback.importing.faults import RecordError

FEEDBACK_TYPES = ("thumbs_up", "thumbs_down", "rating", "edit", "comment")
# The sizes that the table's checks allow, in bytes.
MAX_TEXT = 262_144
MAX_TOOLS = 262_144
MAX_METADATA = 65_536
MAX_NAME = 200
SCORES = (1, 5)
# An escape, and not an escaped backslash before the letters u0000.
ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True)
class FeedbackDraft:
    """One row of feedback with the fields of a record, of which only the shape was looked at."""

    prompt: str
    response: str
    feedback_type: object
    corrections: str | None = None
    score: object = None
    user_id: object = None
    session_id: object = None
    model_version: object = None
    tools: list[dict[str, Any]] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: object = None


@dataclass(frozen=True)
class CheckedFeedback:
    """One row of feedback that the database takes; `tools` and `metadata` are JSON text."""

    prompt: str
    response: str
    feedback_type: str
    corrections: str | None
    score: float | None
    user_id: UUID | None
    session_id: str | None
    model_version: str | None
    tools: str | None
    metadata: str
    created_at: datetime | None


def check_draft(draft: FeedbackDraft, now: datetime) -> CheckedFeedback:
    """The draft as a row that the database takes.

    Raises:
        RecordError: a field is missing, blank, too large, out of range or of the wrong type.
    """
    feedback_type = draft.feedback_type
    if not isinstance(feedback_type, str) or feedback_type not in FEEDBACK_TYPES:
        raise RecordError(f"feedbackType is none of {', '.join(FEEDBACK_TYPES)}")
    if feedback_type == "edit" and draft.corrections is None:
        raise RecordError("an edit without corrections")
    score = _score(draft.score)
    if feedback_type == "rating" and score is None:
        raise RecordError("a rating without a score")
    return CheckedFeedback(
        prompt=_written(draft.prompt, "prompt"),
        response=_written(draft.response, "response"),
        feedback_type=feedback_type,
        corrections=None if draft.corrections is None else _text(draft.corrections, "corrections", MAX_TEXT),
        score=score,
        user_id=_user(draft.user_id),
        session_id=_name(draft.session_id, "sessionId"),
        model_version=_name(draft.model_version, "modelVersion"),
        tools=None if draft.tools is None else _json(draft.tools, "tools", MAX_TOOLS),
        metadata=_json(draft.metadata, "metadata", MAX_METADATA),
        created_at=_time(draft.created_at, now),
    )


def _text(value: object, name: str, limit: int) -> str:
    if not isinstance(value, str):
        raise RecordError(f"{name} is not text")
    if "\x00" in value:
        raise RecordError(f"{name} holds a NUL character")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise RecordError(f"{name} holds half a surrogate pair") from error
    if size > limit:
        raise RecordError(f"{name} has {size} bytes, of which at most {limit} are taken")
    return value


def _written(value: object, name: str) -> str:
    text = _text(value, name, MAX_TEXT)
    if not text.strip():
        raise RecordError(f"{name} is blank")
    return text


def _name(value: object, name: str) -> str | None:
    return None if value is None else _text(value, name, MAX_NAME)


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RecordError("score is not a number")
    low, high = SCORES
    if not low <= value <= high:
        raise RecordError(f"score is not between {low} and {high}")
    return float(value)


def _user(value: object) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(str(value))
    except ValueError as error:
        raise RecordError("userId is not a UUID") from error


def _json(value: object, name: str, limit: int) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    except (ValueError, TypeError, RecursionError) as error:
        raise RecordError(f"{name} cannot be written as JSON") from error
    if ESCAPED_NUL.search(text):
        raise RecordError(f"{name} holds a NUL character")
    return _text(text, name, limit)


def _time(value: object, now: datetime) -> datetime | None:
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RecordError("createdAt is not an ISO 8601 time") from error
    if not datetime(1970, 1, 1, tzinfo=UTC) <= moment <= now:
        raise RecordError("createdAt lies before 1970 or in the future")
    return moment
