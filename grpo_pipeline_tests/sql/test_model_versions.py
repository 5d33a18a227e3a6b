from __future__ import annotations

import psycopg
import pytest
from psycopg import errors


def add_version(
    database: psycopg.Connection, version: str, status: str = "candidate", week: str = "2026-01-05"
) -> None:
    database.execute(
        "insert into model_versions (version, week, base_model, status, promoted_at)"
        " values (%s, %s, 'base', %s, case when %s = 'champion' then now() end)",
        [version, week, status, status],
    )


def test_two_champions_are_refused(fresh_database: psycopg.Connection) -> None:
    add_version(fresh_database, "a", "champion")
    with pytest.raises(errors.UniqueViolation):
        add_version(fresh_database, "b", "champion")


def test_a_champion_is_replaced_in_one_transaction(fresh_database: psycopg.Connection) -> None:
    add_version(fresh_database, "a", "champion")
    add_version(fresh_database, "b")
    with fresh_database.transaction():
        fresh_database.execute("update model_versions set status = 'retired' where version = 'a'")
        fresh_database.execute("update model_versions set status = 'champion', promoted_at = now() where version = 'b'")
    assert fresh_database.execute("select version from model_versions where status = 'champion'").fetchall() == [("b",)]


@pytest.mark.parametrize(
    "statement", ["update model_versions set status = 'retired'", "delete from model_versions where version = 'a'"]
)
def test_the_last_champion_cannot_go_without_a_successor(fresh_database: psycopg.Connection, statement: str) -> None:
    add_version(fresh_database, "a", "champion")
    with pytest.raises(errors.IntegrityConstraintViolation, match="no champion would be left"):
        fresh_database.execute(statement.encode())
    assert fresh_database.execute("select status from model_versions").fetchall() == [("champion",)]


def test_candidates_come_and_go_freely_while_there_is_no_champion(fresh_database: psycopg.Connection) -> None:
    add_version(fresh_database, "a")
    fresh_database.execute("update model_versions set status = 'rejected'")
    fresh_database.execute("delete from model_versions")


@pytest.mark.parametrize(
    ("column", "value"),
    [("week", "2026-01-06"), ("status", "great"), ("verdict", "[]"), ("metrics", "1"), ("promoted_at", "infinity")],
)
def test_a_version_that_nothing_could_read_is_refused(database: psycopg.Connection, column: str, value: str) -> None:
    add_version(database, "a")
    with pytest.raises(errors.CheckViolation):
        database.execute(f"update model_versions set {column} = '{value}'".encode())
