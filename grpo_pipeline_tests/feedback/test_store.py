from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.fingerprints import EMPTY_FINGERPRINT, fingerprint_rows
from grpo_pipeline.feedback.queries import window_query
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.feedback.rows import WEEK, add_feedback, run
from grpo_pipeline_tests.postgres_fixtures import Server

NEXT = WEEK.shift(1)


def test_fingerprints_cover_every_week_and_count_its_rows(database_url: str) -> None:
    add_feedback(database_url, count=2)
    add_feedback(database_url, NEXT.start, feedback_type="edit", corrections="better")
    found = FeedbackStore(database_url).fingerprints(WEEK.shift(-1), NEXT)
    counts = {table: [fingerprint_rows(text) for text in weeks.values()] for table, weeks in found.items()}
    assert counts == {"agent_feedback": [0, 2, 1], "preference_pairs": [0, 0, 1]}
    assert list(found["agent_feedback"]) == [WEEK.shift(-1).key, WEEK.key, NEXT.key]
    assert found["agent_feedback"][WEEK.shift(-1).key] == EMPTY_FINGERPRINT


@pytest.mark.parametrize(
    "change",
    [
        "insert into agent_feedback (created_at, feedback_type, prompt, response) "
        "values ('2026-11-03+00', 'comment', 'p', 'r')",
        "update agent_feedback set response = 'other' where id = '{id}'",
        "delete from agent_feedback where id = '{id}'",
        "update agent_feedback set created_at = '2026-11-10+00' where id = '{id}'",
    ],
)
def test_every_change_of_a_week_changes_its_fingerprint(database_url: str, change: str) -> None:
    store = FeedbackStore(database_url)
    row = add_feedback(database_url, count=3)[1]
    before = store.fingerprints(WEEK, WEEK)
    assert store.fingerprints(WEEK, WEEK) == before
    run(database_url, change.format(id=row))
    assert store.fingerprints(WEEK, WEEK)["agent_feedback"] != before["agent_feedback"]


def test_the_same_rows_in_another_database_have_the_same_fingerprint(
    database_url: str, postgres_15_server: Server
) -> None:
    add_feedback(database_url, count=20, feedback_type="edit", corrections="better")
    rows = run(database_url, "select id, updated_at from agent_feedback order by random()")
    with postgres_15_server.fresh_database("migrated") as other:
        for row_id, updated_at in rows:
            add_feedback(other, updated_at, id=row_id, feedback_type="edit", corrections="another text")
        assert FeedbackStore(other).fingerprints(WEEK, WEEK) == FeedbackStore(database_url).fingerprints(WEEK, WEEK)


def test_fingerprints_are_read_from_the_indexes_alone(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        # Rows whose commit is not on the disk yet are not marked as visible to all.
        connection.execute("set synchronous_commit = on")
        connection.execute(
            "insert into agent_feedback (created_at, feedback_type, prompt, response, corrections) "
            "select '2026-11-02+00'::timestamptz + i * interval '1 minute', 'edit', repeat(md5(i::text), 20), 'r', 'c' "
            "from generate_series(1, 5000) i"
        )
        connection.execute("vacuum analyze agent_feedback, preference_pairs")
    plan = run(database_url, "explain " + window_query("fingerprints", WEEK.start, NEXT.end))
    text = "\n".join(str(line[0]) for line in plan)
    assert text.count("Index Only Scan") == 2, text


def test_a_transaction_that_is_still_open_holds_the_barrier(database_url: str) -> None:
    store = FeedbackStore(database_url)
    assert store.wait_for_commit_barrier(WEEK, timeout=5)
    with psycopg.connect(database_url) as late:
        late.execute(
            "insert into agent_feedback (created_at, feedback_type, prompt, response) values (%s, 'comment', 'p', 'r')",
            [WEEK.end - timedelta(seconds=1)],
        )
        assert not store.wait_for_commit_barrier(WEEK, timeout=0.2)
        late.commit()
    assert store.wait_for_commit_barrier(WEEK, timeout=5)


def test_a_transaction_that_began_later_does_not_hold_the_barrier(pgbouncer_url: str) -> None:
    assert FeedbackStore(pgbouncer_url).wait_for_commit_barrier(WEEK, timeout=5)


def test_a_week_that_is_not_over_has_no_barrier(database_url: str) -> None:
    with pytest.raises(PipelineError, match="is not over by the database's clock"):
        FeedbackStore(database_url).wait_for_commit_barrier(Week.containing(datetime.now(UTC)), timeout=1)


def test_pairs_are_counted_where_they_could_be_used(database_url: str) -> None:
    add_feedback(database_url, count=3, feedback_type="edit", corrections="better")
    add_feedback(database_url, NEXT.start, feedback_type="edit", corrections="long " * 100)
    add_feedback(database_url, feedback_type="edit", corrections=" \n")
    add_feedback(database_url, feedback_type="edit", corrections="r")
    add_feedback(database_url, feedback_type="edit", corrections="x", prompt="")
    rejected, approved = add_feedback(database_url, count=2, feedback_type="edit", corrections="good")
    for row, status in ((rejected, "rejected"), (approved, "approved")):
        run(database_url, f"update preference_pairs set review_status = '{status}' where feedback_id = '{row}'")
    store = FeedbackStore(database_url)
    assert store.count_pairs(WEEK, NEXT) == {WEEK.key: 4, NEXT.key: 1}
    assert store.count_pairs(WEEK, NEXT, approved_only=True) == {WEEK.key: 1, NEXT.key: 0}


def test_deleted_rows_leave_tombstones_with_their_week(database_url: str) -> None:
    store = FeedbackStore(database_url)
    assert store.tombstones() == []
    row = add_feedback(database_url, feedback_type="edit", corrections="better")[0]
    pair = run(database_url, "select id::text from preference_pairs")[0][0]
    run(database_url, f"delete from agent_feedback where id = '{row}'")
    found = store.tombstones()
    assert {(stone.table, stone.id, stone.week) for stone in found} == {
        ("agent_feedback", row, WEEK),
        ("preference_pairs", pair, WEEK),
    }
    deleted_at = max(stone.deleted_at for stone in found)
    assert store.tombstones(deleted_at + timedelta(hours=23)) == found
    assert store.tombstones(deleted_at + timedelta(hours=25)) == []


def test_missing_tables_are_named_with_what_to_do(empty_database_url: str) -> None:
    store = FeedbackStore(empty_database_url)
    for read in (store.tombstones, lambda: store.fingerprints(WEEK, WEEK), lambda: store.count_pairs(WEEK, WEEK)):
        with pytest.raises(PipelineError, match="grpo-pipeline db migrate"):
            read()
