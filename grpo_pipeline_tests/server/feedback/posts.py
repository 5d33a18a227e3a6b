"""Feedback for tests, as an app posts it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from grpo_pipeline_tests.server.tokens import USER


def post(**changed: object) -> dict[str, Any]:
    """A thumb up of one user."""
    usual = {
        "prompt": "Analyze @Ramp",
        "response": "Simple analysis",
        "feedbackType": "thumbs_up",
        "userId": USER,
    }
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def edit(**changed: object) -> dict[str, Any]:
    """An edit of one user."""
    return post(**{"feedbackType": "edit", "corrections": "Deep analysis with metrics", **changed})


def rows(url: str, table: str = "public.agent_feedback") -> list[dict[str, Any]]:
    """Everything in a table."""
    with psycopg.connect(url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"select * from {table} order by 1").fetchall()  # type: ignore[call-overload]


def add_user(url: str, user: str = USER) -> None:
    """A user as Supabase Auth knows him."""
    with psycopg.connect(url) as connection:
        connection.execute("insert into auth.users (id) values (%s)", [user])
