from __future__ import annotations

import psycopg
import pytest
from psycopg.types.json import Jsonb

from grpo_pipeline_tests.sql.rows import add_feedback, add_pair, add_user, count, only_pair


def test_an_edit_becomes_a_pair_in_the_same_transaction(database: psycopg.Connection) -> None:
    user = add_user(database)
    with database.transaction():
        feedback = add_feedback(
            database,
            user_id=user,
            created_at="2026-01-07 12:00+00",
            model_version="v1",
            tools=Jsonb([{"name": "search"}]),
            metadata=Jsonb({"page": 1}),
        )
        pair = only_pair(database)
    assert (pair["feedback_id"], pair["user_id"], pair["source"]) == (feedback, user, "edit")
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == ("Analyze it", "thorough", "thin")
    assert (pair["model_version"], pair["tools"], pair["metadata"]) == ("v1", [{"name": "search"}], {"page": 1})
    assert (pair["created_at"].isoformat(), pair["review_status"]) == ("2026-01-07T12:00:00+00:00", "pending")


def test_the_pair_of_an_edit_is_the_same_in_every_database(database: psycopg.Connection) -> None:
    feedback = add_feedback(
        database, id="00000000-0000-4000-8000-000000000001", created_at="2026-01-07", updated_at="2026-01-08"
    )
    first = only_pair(database)
    database.execute("delete from agent_feedback where id = %s", [feedback])
    add_feedback(database, id=feedback, created_at="2026-01-07", updated_at="2026-01-08")
    assert only_pair(database) == first
    assert first["id"] != feedback


@pytest.mark.parametrize("feedback_type", ["thumbs_up", "thumbs_down", "rating", "comment"])
def test_other_feedback_makes_no_pair(database: psycopg.Connection, feedback_type: str) -> None:
    add_feedback(database, feedback_type=feedback_type, score=4)
    assert count(database, "preference_pairs") == 0


@pytest.mark.parametrize("corrections", ["thin", "", "  "])
def test_an_edit_that_says_nothing_new_is_left_for_curation_to_judge(
    database: psycopg.Connection, corrections: str
) -> None:
    add_feedback(database, corrections=corrections)
    assert only_pair(database)["chosen"] == corrections


def test_the_pair_follows_later_edits(database: psycopg.Connection) -> None:
    add_feedback(database)
    before = only_pair(database)
    database.execute("update agent_feedback set corrections = 'better still', response = 'thinner', prompt = 'Look'")
    after = only_pair(database)
    assert (after["prompt"], after["chosen"], after["rejected"]) == ("Look", "better still", "thinner")
    assert after["id"] == before["id"]
    assert after["updated_at"] > before["updated_at"]


def test_the_pair_follows_what_surrounds_the_text_too(database: psycopg.Connection) -> None:
    user = add_user(database)
    add_feedback(database)
    database.execute("update preference_pairs set review_status = 'approved'")
    database.execute(
        "update agent_feedback set user_id = %s, model_version = 'v2', metadata = '{\"a\": 1}', tools = '[]',"
        " created_at = '2026-01-05+00'",
        [user],
    )
    pair = only_pair(database)
    assert (pair["user_id"], pair["model_version"], pair["metadata"], pair["tools"]) == (user, "v2", {"a": 1}, [])
    assert (pair["created_at"].isoformat(), pair["review_status"]) == ("2026-01-05T00:00:00+00:00", "approved")


def test_an_update_that_changes_nothing_leaves_the_pair_untouched(database: psycopg.Connection) -> None:
    add_feedback(database)
    before = only_pair(database)
    database.execute("update agent_feedback set session_id = 'other'")
    assert only_pair(database) == before


def test_a_new_score_of_the_feedback_counts_as_a_change_of_its_pairs(database: psycopg.Connection) -> None:
    feedback = add_feedback(database, feedback_type="rating", score=4)
    add_pair(database, feedback_id=feedback, source="import", review_status="approved")
    before = only_pair(database)
    database.execute("update agent_feedback set score = 2")
    after = only_pair(database)
    assert after["updated_at"] > before["updated_at"]
    assert after | {"updated_at": before["updated_at"]} == before


def test_feedback_that_is_no_edit_any_more_loses_its_pair_and_gets_it_back(database: psycopg.Connection) -> None:
    add_feedback(database)
    before = only_pair(database)
    database.execute("update agent_feedback set feedback_type = 'comment'")
    assert count(database, "preference_pairs") == 0
    assert count(database, "feedback_tombstones") == 1
    database.execute("update agent_feedback set feedback_type = 'edit'")
    assert only_pair(database)["id"] == before["id"]
    assert count(database, "feedback_tombstones") == 0


def test_many_edits_at_once_become_as_many_pairs(database: psycopg.Connection) -> None:
    database.execute(
        "insert into agent_feedback (feedback_type, prompt, response, corrections)"
        " select case when n % 2 = 0 then 'edit' else 'comment' end, 'p' || n, 'r', 'c' from generate_series(1, 500) n"
    )
    assert count(database, "preference_pairs") == 250
    database.execute("update agent_feedback set corrections = 'c' || prompt")
    assert database.execute("select count(*) from preference_pairs where chosen = 'c' || prompt").fetchone() == (250,)


def test_a_reviewed_pair_waits_again_once_the_user_changes_its_text(database: psycopg.Connection) -> None:
    add_feedback(database)
    database.execute(
        "update preference_pairs set review_status = 'approved', reviewed_by = 'ada', review_note = 'fine'"
    )
    assert only_pair(database)["reviewed_at"] is not None
    database.execute("update agent_feedback set corrections = 'something else'")
    pair = only_pair(database)
    assert (pair["review_status"], pair["reviewed_by"], pair["reviewed_at"], pair["review_note"]) == (
        "pending", None, None, None,
    )  # fmt: skip


def test_a_reviewer_can_improve_a_text_and_decide_on_it_at_once(database: psycopg.Connection) -> None:
    add_pair(database)
    database.execute("update preference_pairs set chosen = 'improved', review_status = 'approved', reviewed_by = 'ada'")
    pair = only_pair(database)
    assert (pair["chosen"], pair["review_status"], pair["reviewed_by"]) == ("improved", "approved", "ada")
    database.execute("update preference_pairs set chosen = 'improved again'")
    assert only_pair(database)["review_status"] == "pending"
