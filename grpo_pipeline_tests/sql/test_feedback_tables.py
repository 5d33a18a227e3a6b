from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from grpo_pipeline_tests.sql.rows import add_feedback, add_pair, add_user, count

BIG = "x" * 262_145


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"created_at": "infinity"}, "agent_feedback_created_at_finite"),
        ({"created_at": "-infinity"}, "agent_feedback_created_at_finite"),
        ({"created_at": "12000-01-01"}, "agent_feedback_created_at_finite"),
        ({"updated_at": "infinity"}, "agent_feedback_updated_at_finite"),
        ({"score": float("nan")}, "agent_feedback_score_range"),
        ({"score": float("inf")}, "agent_feedback_score_range"),
        ({"score": 0}, "agent_feedback_score_range"),
        ({"score": 6}, "agent_feedback_score_range"),
        ({"feedback_type": "applause"}, "agent_feedback_type_known"),
        ({"feedback_type": "edit", "corrections": None}, "agent_feedback_edit_has_corrections"),
        ({"feedback_type": "rating"}, "agent_feedback_rating_has_score"),
        ({"prompt": BIG}, "agent_feedback_prompt_size"),
        ({"response": BIG}, "agent_feedback_response_size"),
        ({"corrections": BIG}, "agent_feedback_corrections_size"),
        ({"session_id": "x" * 201}, "agent_feedback_session_id_size"),
        ({"model_version": "x" * 201}, "agent_feedback_model_version_size"),
        ({"tools": Jsonb({"name": "search"})}, "agent_feedback_tools_shape"),
        ({"metadata": Jsonb([1])}, "agent_feedback_metadata_shape"),
        ({"metadata": Jsonb({"a": "x" * 65_536})}, "agent_feedback_metadata_shape"),
        ({"idempotency_key": ""}, "agent_feedback_idempotency_key_size"),
    ],
)
def test_feedback_that_no_stage_could_read_is_refused(
    database: psycopg.Connection, values: dict[str, object], rule: str
) -> None:
    with pytest.raises(errors.CheckViolation) as refused:
        add_feedback(database, **values)
    assert refused.value.diag.constraint_name == rule


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"created_at": "infinity"}, "preference_pairs_created_at_finite"),
        ({"updated_at": "-infinity"}, "preference_pairs_updated_at_finite"),
        ({"reviewed_at": "infinity"}, "preference_pairs_reviewed_at_finite"),
        ({"review_status": "perhaps"}, "preference_pairs_review_status_known"),
        ({"source": "An Edit"}, "preference_pairs_source_name"),
        ({"chosen": BIG}, "preference_pairs_chosen_size"),
        ({"rejected": BIG}, "preference_pairs_rejected_size"),
        ({"prompt": BIG}, "preference_pairs_prompt_size"),
        ({"tools": Jsonb("search")}, "preference_pairs_tools_shape"),
        ({"metadata": Jsonb(1)}, "preference_pairs_metadata_shape"),
    ],
)
def test_a_pair_that_no_stage_could_read_is_refused(
    database: psycopg.Connection, values: dict[str, object], rule: str
) -> None:
    with pytest.raises(errors.CheckViolation) as refused:
        add_pair(database, **values)
    assert refused.value.diag.constraint_name == rule


@pytest.mark.parametrize("column", ["prompt", "response"])
def test_feedback_without_prompt_or_response_is_refused(database: psycopg.Connection, column: str) -> None:
    with pytest.raises(errors.NotNullViolation):
        add_feedback(database, **{column: None})


def test_text_of_every_script_and_the_bounds_of_every_rule_are_taken(database: psycopg.Connection) -> None:
    add_feedback(database, prompt='emoji 🦊, 漢字, \\N, "quotes"\r\n\ttabs', score=1, tools=Jsonb([]))
    add_feedback(database, prompt="x" * 262_144, response="", corrections="", score=5, feedback_type="rating")
    assert count(database, "agent_feedback") == 2


def test_the_same_key_of_the_same_user_is_the_same_feedback(database: psycopg.Connection) -> None:
    ada, grace = add_user(database), add_user(database)
    for user in (ada, grace, None):
        add_feedback(database, user_id=user, idempotency_key="message-1")
        with pytest.raises(errors.UniqueViolation), database.transaction():
            add_feedback(database, user_id=user, idempotency_key="message-1")
    add_feedback(database, user_id=ada)
    add_feedback(database, user_id=ada)
    assert count(database, "agent_feedback") == 5


def test_every_update_moves_the_update_time_and_a_client_cannot_set_it(database: psycopg.Connection) -> None:
    row_id = add_feedback(database, created_at="2026-01-05", updated_at="2026-01-05")
    database.execute("update agent_feedback set updated_at = '2020-01-01', score = 3 where id = %s", [row_id])
    row = database.execute(
        "select updated_at > now() - interval '1 minute', created_at::date::text from agent_feedback"
    )
    assert row.fetchone() == (True, "2026-01-05")


@pytest.mark.parametrize("table", ["agent_feedback", "preference_pairs"])
def test_the_fingerprint_of_a_week_is_read_from_the_index_alone(fresh_database: psycopg.Connection, table: str) -> None:
    # Without it a page only becomes all-visible a little later.
    fresh_database.execute("set synchronous_commit = on")
    fresh_database.execute(
        "insert into agent_feedback (feedback_type, prompt, response, corrections)"
        " select 'edit', 'p', 'r', 'c' from generate_series(1, 2000)"
    )
    fresh_database.execute(f"vacuum analyze {table}".encode())
    fresh_database.execute("set enable_seqscan = off")
    plan = fresh_database.execute(
        "explain select count(*), sum(uuid_hash_extended(id, (extract(epoch from updated_at) * 1e6)::bigint)::numeric)"
        f" from {table} where created_at >= '2026-01-05+00' and created_at < '2126-01-05+00'".encode()
    ).fetchall()
    assert any("Index Only Scan" in line for (line,) in plan)
