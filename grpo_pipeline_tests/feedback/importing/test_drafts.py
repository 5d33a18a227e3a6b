from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from grpo_pipeline.feedback.importing.drafts import FeedbackDraft, check_draft
from grpo_pipeline.feedback.importing.faults import RecordError

NOW = datetime(2026, 11, 23, tzinfo=UTC)
GOOD: dict[str, Any] = {"prompt": "p", "response": "r", "feedback_type": "comment"}


def test_a_good_draft_passes_unchanged() -> None:
    row = check_draft(
        FeedbackDraft(**GOOD, score=3, metadata={"b": "ü", "a": 1}, created_at="2026-11-02T10:00:00+02:00"), NOW
    )
    assert (row.prompt, row.response, row.score) == ("p", "r", 3.0)
    assert row.metadata == '{"a": 1, "b": "ü"}'
    assert row.created_at == datetime(2026, 11, 2, 8, tzinfo=UTC)


def test_a_time_without_a_zone_is_utc() -> None:
    row = check_draft(FeedbackDraft(**GOOD, created_at="2026-11-02T10:00:00"), NOW)
    assert row.created_at == datetime(2026, 11, 2, 10, tzinfo=UTC)


def test_a_backslash_before_u0000_is_not_a_nul_character() -> None:
    assert check_draft(FeedbackDraft(**GOOD, metadata={"path": "C:\\u0000"}), NOW).metadata == '{"path": "C:\\\\u0000"}'


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown type": ({"feedback_type": "love"}, "feedbackType is none of"),
    "type of the wrong type": ({"feedback_type": ["edit"]}, "feedbackType is none of"),
    "edit without corrections": ({"feedback_type": "edit"}, "an edit without corrections"),
    "rating without score": ({"feedback_type": "rating"}, "a rating without a score"),
    "blank prompt": ({"prompt": " \n"}, "prompt is blank"),
    "missing response": ({"response": None}, "response is not text"),
    "too long": ({"response": "ä" * 131_073}, "response has 262146 bytes, of which at most 262144 are taken"),
    "NUL": ({"prompt": "a\x00b"}, "prompt holds a NUL character"),
    "NUL in metadata": ({"metadata": {"a": ["\x00"]}}, "metadata holds a NUL character"),
    "half a surrogate pair": ({"prompt": "\ud83d"}, "prompt holds half a surrogate pair"),
    "score is text": ({"score": "5"}, "score is not a number"),
    "score is true": ({"score": True}, "score is not a number"),
    "score is NaN": ({"score": float("nan")}, "score is not a number"),
    "score too high": ({"score": 6}, "score is not between 1 and 5"),
    "metadata holds NaN": ({"metadata": {"a": float("nan")}}, "metadata cannot be written as JSON"),
    "metadata too large": ({"metadata": {"a": "x" * 70_000}}, "metadata has"),
    "user is no UUID": ({"user_id": "alice"}, "userId is not a UUID"),
    "session too long": ({"session_id": "s" * 201}, "sessionId has 201 bytes"),
    "version is a number": ({"model_version": 3}, "modelVersion is not text"),
    "time is a word": ({"created_at": "yesterday"}, "createdAt is not an ISO 8601 time"),
    "time in the future": ({"created_at": "2026-11-24T00:00:00Z"}, "createdAt lies before 1970 or in the future"),
    "time out of range": ({"created_at": "9999-12-31T23:59:59-10:00"}, "createdAt is not an ISO 8601 time"),
}


@pytest.mark.parametrize(("fields", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_database_would_not_take_is_refused_with_the_reason(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as refused:
        check_draft(FeedbackDraft(**{**GOOD, **fields}), NOW)
    assert str(refused.value).startswith(reason)
