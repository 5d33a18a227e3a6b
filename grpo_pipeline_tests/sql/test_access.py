from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

import psycopg
import pytest

from grpo_pipeline_tests.sql.rows import add_feedback, add_user

INSERT = (
    "insert into public.agent_feedback (feedback_type, prompt, response, corrections) values ('edit', 'p', 'r', 'c')"
)
TABLES = ["agent_feedback", "preference_pairs", "feedback_tombstones", "model_versions"]
REFUSED = "42501"


def insert_with(column: str, value: str) -> str:
    return INSERT.replace("corrections)", f"corrections, {column})").replace("'c')", f"'c', {value})")


@dataclass(frozen=True)
class Try:
    """Who tries what: the outcome is a number of rows or the code of the refusal."""

    role: str
    statement: str
    outcome: int | str
    signed_in: bool = True


TRIES = [
    Try("anon", INSERT, REFUSED, signed_in=False),
    Try("authenticated", INSERT, 1),
    Try("authenticated", INSERT, REFUSED, signed_in=False),
    Try("authenticated", INSERT + " returning id", REFUSED),
    Try("authenticated", insert_with("id", "gen_random_uuid()"), REFUSED),
    Try("authenticated", insert_with("created_at", "'2020-01-01'"), REFUSED),
    Try("authenticated", insert_with("updated_at", "'2020-01-01'"), REFUSED),
    Try("authenticated", insert_with("user_id", "auth.uid()"), REFUSED),
    Try("authenticated", insert_with("idempotency_key", "'k'"), 1),
    Try("authenticated", INSERT + " on conflict do nothing", 1),
    Try("authenticated", "update public.agent_feedback set prompt = 'p'", REFUSED),
    Try("authenticated", "delete from public.agent_feedback", REFUSED),
    Try("authenticated", "insert into public.preference_pairs (prompt, chosen) values ('p', 'c')", REFUSED),
    Try("authenticated", "select private.edit_pair_id(gen_random_uuid())", REFUSED),
    *[Try(role, f"select * from public.{table}", REFUSED) for role in ("anon", "authenticated") for table in TABLES],
    *[Try("feedback_extractor", f"select * from public.{table}", 1) for table in TABLES[:2]],
    Try("feedback_extractor", "select * from public.feedback_tombstones", 0),
    Try("feedback_extractor", "select * from public.model_versions", REFUSED),
    Try("feedback_extractor", "select * from auth.users", REFUSED),
    *[Try("feedback_extractor", f"delete from public.{table}", REFUSED) for table in TABLES],
    Try("feedback_extractor", "update public.preference_pairs set review_status = 'approved'", REFUSED),
    Try("feedback_extractor", INSERT, REFUSED),
    *[Try("service_role", f"select * from public.{table}", 1, signed_in=False) for table in TABLES[:2]],
    *[
        Try(role, f"select * from private.{table}", REFUSED)
        for role in ("anon", "authenticated", "service_role", "feedback_extractor")
        for table in ("api_keys", "feedback_requests", "page_sessions", "pair_decisions", "dataset_sign_offs")
    ],
    *[
        Try(role, f"select * from public.{table}", REFUSED)
        for role in ("anon", "authenticated", "feedback_extractor")
        for table in ("agent_feedback_history", "challengers", "model_changes")
    ],
    Try("service_role", "select * from public.agent_feedback_history", 0),
    Try("service_role", INSERT, 1, signed_in=False),
    Try("service_role", "update public.preference_pairs set review_status = 'approved'", 1, signed_in=False),
    Try("service_role", "delete from public.agent_feedback", 1, signed_in=False),
    Try("service_role", "truncate public.feedback_tombstones", REFUSED, signed_in=False),
]  # fmt: skip


@pytest.mark.parametrize("attempt", TRIES, ids=lambda attempt: f"{attempt.role}: {attempt.statement[:60]}")
def test_each_role_may_do_its_part_and_nothing_else(database: psycopg.Connection, attempt: Try) -> None:
    user = add_user(database)
    add_feedback(database, user_id=user)
    assert _try(database, attempt, user if attempt.signed_in else None) == attempt.outcome


def test_feedback_belongs_to_whoever_is_signed_in_and_is_timed_by_the_server(
    fresh_database: psycopg.Connection,
) -> None:
    user = add_user(fresh_database)
    assert _try(fresh_database, Try("authenticated", INSERT, 1), user) == 1
    rows = fresh_database.execute(
        "select f.user_id, p.user_id, f.created_at > now() - interval '1 minute'"
        " from agent_feedback f join preference_pairs p on p.feedback_id = f.id"
    ).fetchall()
    assert rows == [(user, user, True)]


def test_old_default_grants_do_not_open_the_tables(database: psycopg.Connection) -> None:
    """Projects from before 2026 grant everything on new tables by default."""
    granted = database.execute(
        "select grantee, table_name, privilege_type from information_schema.role_table_grants"
        " where table_schema = 'public' and grantee in ('anon', 'authenticated', 'PUBLIC')"
    ).fetchall()
    assert granted == []


def test_the_extractor_starts_out_read_only_and_in_utc(database: psycopg.Connection) -> None:
    ((settings,),) = database.execute("select rolconfig from pg_roles where rolname = 'feedback_extractor'").fetchall()
    assert {"default_transaction_read_only=on", "TimeZone=UTC"} <= set(settings)
    assert any(setting.startswith("statement_timeout=") for setting in settings)


def _try(database: psycopg.Connection, attempt: Try, user: uuid.UUID | None) -> int | str | None:
    claims = {"role": attempt.role} | ({"sub": str(user)} if user else {})
    try:
        with database.transaction():
            database.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
            database.execute(f"set local role {attempt.role}".encode())
            return database.execute(attempt.statement.encode()).rowcount
    except psycopg.Error as refused:
        return refused.sqlstate
