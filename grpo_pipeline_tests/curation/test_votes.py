from typing import Any

import polars as pl
import pytest

from grpo_pipeline.curation.curate import Curated, curate
from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline_tests.curation.frames import feedback_frame, pair, pairs_frame, rules_of, vote


def votes(*rows: dict[str, Any], **settings: float) -> Curated:
    return curate(pairs_frame(), feedback_frame(*rows), pl.DataFrame(), CurationSettings(**settings))


@pytest.mark.parametrize(
    ("feedback_type", "score", "expected"),
    [
        ("thumbs_up", None, "up"),
        ("thumbs_down", None, "down"),
        ("thumbs_down", 5.0, "down"),
        ("rating", 5.0, "up"),
        ("rating", 4.0, "up"),
        ("rating", 3.9, None),
        ("rating", 2.1, None),
        ("rating", 2.0, "down"),
        ("rating", 1.0, "down"),
        ("rating", None, None),
    ],
)
def test_thumbs_and_clear_ratings_become_votes(feedback_type: str, score: float | None, expected: str | None) -> None:
    result = votes(vote(1, feedback_type, score=score))
    assert result.votes["vote"].to_list() == ([expected] if expected else [])
    assert rules_of(result) == ({} if expected else {"feedback-0001": "no_clear_vote"})


def test_what_counts_as_up_and_down_is_a_setting() -> None:
    result = votes(vote(1, "rating", score=3.0), vote(2, "rating", score=2.0), up_score=3, down_score=1)
    assert result.votes.select("id", "vote").rows() == [("feedback-0001", "up")]


def test_edits_and_comments_are_no_votes_and_not_counted_as_read() -> None:
    result = votes(vote(1, "edit", corrections="Better"), vote(2, "comment"), vote(3, "thumbs_up"))
    assert result.votes["id"].to_list() == ["feedback-0003"]
    assert result.counts["agent_feedback.read"] == 1
    assert len(result.quarantine) == 0


def test_votes_are_cleaned_and_redacted_like_pairs() -> None:
    result = votes(
        vote(1, "thumbs_up", prompt="Ask ann@example.com", response="Asked Ann@example.com\r\n"),
        vote(2, "thumbs_up", response=" "),
        vote(3, "thumbs_up", response="Caf\ufffd"),
        vote(4, "thumbs_up", tools="broken"),
        vote(5, "thumbs_up", response="OK"),
    )
    assert result.votes.select("prompt", "response").rows() == [("Ask <EMAIL_1>", "Asked <EMAIL_1>")]
    assert rules_of(result) == {
        "feedback-0002": "missing_text",
        "feedback-0003": "broken_encoding",
        "feedback-0004": "invalid_tools",
        "feedback-0005": "too_short",
    }
    assert set(result.quarantine["table"]) == {"agent_feedback"}


def test_a_vote_cast_twice_counts_once() -> None:
    same = {"prompt": "Who?", "response": "Ramp is a company.", "user_id": "ann"}
    result = votes(
        vote(1, "thumbs_up", **same),
        vote(2, "rating", score=5.0, **same),
        vote(3, "thumbs_down", **same),
        vote(4, "thumbs_up", **{**same, "user_id": "bob"}),
        vote(5, "thumbs_up", **{**same, "user_id": None}),
        vote(6, "thumbs_up", **{**same, "user_id": None}),
    )
    assert rules_of(result) == {"feedback-0002": "exact_duplicate"}


def test_pairs_and_votes_of_one_week_are_kept_apart_in_the_books() -> None:
    result = curate(
        pairs_frame(pair(1), pair(2, prompt="")),
        feedback_frame(vote(1, "thumbs_up"), vote(2, "thumbs_down", prompt="")),
        pl.DataFrame(),
        CurationSettings(),
    )
    assert result.counts == {
        "preference_pairs.read": 2,
        "preference_pairs.kept": 1,
        "preference_pairs.missing_text": 1,
        "agent_feedback.read": 2,
        "agent_feedback.kept": 1,
        "agent_feedback.missing_text": 1,
    }
