"""Feedback for tests: distinct, deterministic edits of several people in a week."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta

import psycopg

from grpo_pipeline.weeks import Week

SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "qui",
    "ro",
    "su",
    "ta",
    "ve",
    "wi",
    "xo",
    "yu",
    "za",
    "bre",
    "cli",
    "dro",
    "fla",
    "gri",
)


def words(source: random.Random, count: int) -> str:
    """Words that no other text shares by accident, so that nothing is a near-duplicate."""
    return " ".join("".join(source.choices(SYLLABLES, k=source.randint(2, 4))) for _ in range(count))


def add_edits(url: str, week: Week, count: int, *, people: int = 12) -> list[str]:
    """Insert edits into a week, each of which becomes a pair; their feedback ids."""
    source = random.Random(f"{week.key}:{count}")
    users = [str(uuid.UUID(int=random.Random(f"person {number}").getrandbits(128))) for number in range(people)]
    with psycopg.connect(url) as connection:
        cursor = connection.cursor()
        known = "insert into auth.users (id) values (%s) on conflict do nothing"
        cursor.executemany(known, [(user,) for user in users])
        rows = [
            (
                str(uuid.UUID(int=source.getrandbits(128))),
                week.start + timedelta(minutes=7 * number + 1),
                users[number % people],
                f"Analyze {words(source, 6)}",
                f"No {words(source, 4)}.",
                f"Grew {words(source, 4)}.",
            )
            for number in range(count)
        ]
        cursor.executemany(
            "insert into agent_feedback "
            "(id, created_at, updated_at, user_id, feedback_type, prompt, response, corrections) "
            "values (%s, %s, now(), %s, 'edit', %s, %s, %s)",
            rows,
        )
    return [row[0] for row in rows]


def delete_feedback(url: str, ids: list[str]) -> None:
    """Delete feedback as its author's request would: the pair made from it goes with it."""
    with psycopg.connect(url) as connection:
        connection.execute("delete from agent_feedback where id = any(%s::uuid[])", (ids,))
