"""Small frames in the shape of the extracted tables."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from grpo_pipeline.curation.curate import Curated, curate
from grpo_pipeline.curation.settings import CurationSettings

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
MOMENT = pl.Datetime("us", "UTC")
PAIR_TEXTS = ("id", "feedback_id", "user_id", "source", "prompt", "chosen", "rejected", "tools")
PAIR_SCHEMA = {
    **dict.fromkeys((*PAIR_TEXTS, "model_version", "review_status", "metadata"), pl.String),
    "score": pl.Float64,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
FEEDBACK_TEXTS = ("id", "user_id", "session_id", "feedback_type", "prompt", "response", "corrections")
FEEDBACK_SCHEMA = {
    **dict.fromkeys((*FEEDBACK_TEXTS, "model_version", "tools", "metadata"), pl.String),
    "score": pl.Float64,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}

# Answers with nothing in common, so that no rule but the one under test sees anything.
TOPICS = (
    "Revenue grew by a third while churn stayed flat across every region.",
    "The board hired two executives from logistics and opened an office in Lisbon.",
    "Their moat is distribution: 4,000 resellers sign multi-year contracts.",
    "Gross margin fell because cloud bills doubled after the migration.",
    "Competitors undercut prices, yet win rates hold among large accounts.",
    "Most customers are hospitals that pay annually and rarely leave.",
)


def _findings(number: int) -> str:
    """Words of its own for every number, as long as a topic."""
    source = random.Random(number)
    return " ".join("".join(source.choices("aeioulmnrst", k=7)) for _ in range(7))


def pair(number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any column's value
    """A pair that passes every rule, unlike those of other numbers, with some columns changed."""
    return {
        "id": f"pair-{number:04}",
        "feedback_id": f"feedback-{number:04}",
        "user_id": f"user-{number}",
        "source": "edit",
        "prompt": f"Analyze @Company{number} in depth {number * 7919}",
        "chosen": f"{TOPICS[number % len(TOPICS)]} {_findings(number)}.",
        "rejected": f"No idea {number}",
        "review_status": "pending",
        "created_at": MONDAY + timedelta(minutes=number),
        "updated_at": MONDAY + timedelta(minutes=number),
        **changes,
    }


def vote(number: int, feedback_type: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any column's value
    """A row of feedback that passes every rule."""
    return {
        "id": f"feedback-{number:04}",
        "user_id": f"user-{number}",
        "feedback_type": feedback_type,
        "prompt": f"Analyze @Company{number}",
        "response": TOPICS[number % len(TOPICS)],
        "created_at": MONDAY + timedelta(minutes=number),
        "updated_at": MONDAY + timedelta(minutes=number),
        **changes,
    }


def pairs_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """The rows as `preference_pairs` gives them."""
    return pl.DataFrame(list(rows), schema=PAIR_SCHEMA)


def feedback_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """The rows as `agent_feedback` gives them."""
    return pl.DataFrame(list(rows), schema=FEEDBACK_SCHEMA)


def curated(*rows: dict[str, Any], earlier: pl.DataFrame | None = None, **settings: Any) -> Curated:  # noqa: ANN401
    """These pairs, curated by themselves."""
    known = pl.DataFrame() if earlier is None else earlier
    return curate(pairs_frame(*rows), feedback_frame(), known, CurationSettings(**settings))


def rules_of(result: Curated) -> dict[str, str]:
    """The rule by which each quarantined row was set aside."""
    return dict(result.quarantine.select("id", "rule").iter_rows())
