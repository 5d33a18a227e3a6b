"""Rows of feedback for tests."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg

from grpo_pipeline.weeks import Week

WEEK = Week("2026-11-02")
MONDAY = WEEK.start
TRICKY = (
    "quotes \" and ' and “”",
    "lines\n\r\n\ttabs",
    "back\\slash \\N \\. \\u0041",
    "emoji 🙂👩‍👩‍👧 and 漢字",
    "  spaces  ",
    "{a,b} (c) NULL",
)


def add_feedback(url: str, moment: datetime = MONDAY, count: int = 1, **columns: object) -> list[str]:
    """Insert rows a second apart and return their ids."""
    values = {"feedback_type": "comment", "prompt": "p", "response": "r", **columns}
    names = ", ".join(["created_at", "updated_at", *values])
    places = ", ".join(["%s"] * (len(values) + 2))
    with psycopg.connect(url) as connection:
        return [
            str(
                connection.execute(
                    f"insert into agent_feedback ({names}) values ({places}) returning id".encode(),
                    [moment + timedelta(seconds=number)] * 2 + list(values.values()),
                ).fetchone()[0]  # type: ignore[index]
            )
            for number in range(count)
        ]


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement and return its rows, if it has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
