"""Rows for the tests of the tables."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import sql

T = TypeVar("T")


def add_user(database: psycopg.Connection) -> uuid.UUID:
    """A new user and its id."""
    return _only(database, "insert into auth.users default values returning id", uuid.UUID)


def add_feedback(database: psycopg.Connection, **values: object) -> uuid.UUID:
    """New feedback, an edit unless said otherwise, and its id."""
    edit = {"feedback_type": "edit", "prompt": "Analyze it", "response": "thin", "corrections": "thorough"}
    return _insert(database, "agent_feedback", edit | values)


def add_pair(database: psycopg.Connection, **values: object) -> uuid.UUID:
    """A new pair without feedback, and its id."""
    return _insert(
        database, "preference_pairs", {"prompt": "Analyze it", "chosen": "thorough", "rejected": "thin"} | values
    )


def only_pair(database: psycopg.Connection) -> dict[str, Any]:
    """The one pair in the database."""
    cursor = database.execute("select * from public.preference_pairs")
    names = [column.name for column in cursor.description or []]
    (row,) = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def count(database: psycopg.Connection, table: str) -> int:
    """How many rows a table has."""
    return _only(database, sql.SQL("select count(*) from {}").format(sql.Identifier("public", table)), int)


def _insert(database: psycopg.Connection, table: str, values: dict[str, object]) -> uuid.UUID:
    statement = sql.SQL("insert into {} ({}) values ({}) returning id").format(
        sql.Identifier("public", table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
    )
    return _only(database, statement, uuid.UUID, list(values.values()))


def _only(
    database: psycopg.Connection, statement: LiteralString | sql.Composed, kind: type[T], values: Sequence[object] = ()
) -> T:
    row = database.execute(statement, values).fetchone()
    assert row is not None
    assert isinstance(row[0], kind)
    return row[0]
