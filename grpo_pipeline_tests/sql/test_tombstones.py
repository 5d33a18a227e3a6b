from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from grpo_pipeline_tests.sql.rows import add_feedback, add_pair, add_user, count, only_pair


def test_a_deleted_user_takes_everything_along_and_leaves_only_ids(database: psycopg.Connection) -> None:
    user, other = add_user(database), add_user(database)
    feedback = add_feedback(database, user_id=user, created_at="2026-01-07+00")
    edit_pair = only_pair(database)["id"]
    own_pair = add_pair(database, user_id=user, created_at="2026-01-07+00")
    add_feedback(database, user_id=other)

    database.execute("delete from auth.users where id = %s", [user])

    assert count(database, "agent_feedback") == 1
    assert count(database, "preference_pairs") == 1
    buried = database.execute(
        "select table_name, row_id, row_created_at::date::text from feedback_tombstones"
    ).fetchall()
    assert set(buried) == {
        ("agent_feedback", feedback, "2026-01-07"),
        ("preference_pairs", edit_pair, "2026-01-07"),
        ("preference_pairs", own_pair, "2026-01-07"),
    }


def test_a_tombstone_has_no_room_for_content(database: psycopg.Connection) -> None:
    columns = database.execute(
        "select column_name from information_schema.columns where table_name = 'feedback_tombstones' order by 1"
    ).fetchall()
    assert columns == [("deleted_at",), ("row_created_at",), ("row_id",), ("table_name",)]


def test_a_row_deleted_again_after_a_restore_counts_as_deleted_now(database: psycopg.Connection) -> None:
    feedback = add_feedback(database, feedback_type="comment")
    database.execute("delete from agent_feedback")
    database.execute("update feedback_tombstones set deleted_at = '2026-01-01+00'")
    add_feedback(database, id=feedback, feedback_type="comment")
    database.execute("delete from agent_feedback")
    row = database.execute("select count(*), min(deleted_at) > now() - interval '1 minute' from feedback_tombstones")
    assert row.fetchone() == (1, True)


@pytest.mark.parametrize("table", ["agent_feedback", "preference_pairs", "feedback_tombstones", "model_versions"])
def test_truncate_is_refused(database: psycopg.Connection, table: str) -> None:
    add_feedback(database)
    with pytest.raises(errors.RaiseException, match="refused"), database.transaction():
        database.execute(f"truncate {table} cascade".encode())
    assert count(database, "agent_feedback") == 1
