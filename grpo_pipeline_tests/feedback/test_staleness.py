from __future__ import annotations

from pathlib import Path

import psycopg

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.feedback.staleness import StaleWeek, stale_weeks
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.feedback.tables import TABLES
from grpo_pipeline.weeks import Week, weeks_between
from grpo_pipeline_tests.feedback.rows import WEEK, add_feedback, run

NEXT = WEEK.shift(1)
WEEKS = weeks_between(WEEK.shift(-1), NEXT)


def publish(url: str, artifacts: ArtifactStore, *weeks: Week) -> None:
    for week in weeks:
        for table in TABLES.values():
            with artifacts.draft(table.name) as draft:
                result = FeedbackStore(url).extract(table.name, week, draft / table.file)
                artifacts.publish(draft, table.name, week.key, {"source": {"fingerprint": result.fingerprint}})


def test_a_week_that_was_never_extracted_is_stale_where_it_has_rows(database_url: str, tmp_path: Path) -> None:
    add_feedback(database_url, feedback_type="edit", corrections="better")
    store, artifacts = FeedbackStore(database_url), ArtifactStore(tmp_path)
    assert stale_weeks(store, artifacts, []) == []
    assert stale_weeks(store, artifacts, WEEKS) == [
        StaleWeek(WEEK, ("1 row of agent_feedback never extracted", "1 row of preference_pairs never extracted"))
    ]
    publish(database_url, artifacts, WEEK)
    assert stale_weeks(store, artifacts, WEEKS) == []


def test_late_changed_and_deleted_rows_are_told_apart(database_url: str, tmp_path: Path) -> None:
    store, artifacts = FeedbackStore(database_url), ArtifactStore(tmp_path)
    changed, deleted, other, _ = add_feedback(database_url, count=4, feedback_type="edit", corrections="better")
    add_feedback(database_url, NEXT.start)
    publish(database_url, artifacts, *WEEKS)
    with psycopg.connect(database_url) as late:
        late.execute(
            "insert into agent_feedback (created_at, feedback_type, prompt, response) "
            "select %s, 'comment', 'p', 'r' from generate_series(1, 3)",
            [WEEK.start],
        )
        assert stale_weeks(store, artifacts, WEEKS) == []
    run(database_url, f"update agent_feedback set corrections = 'best' where id = '{changed}'")
    run(database_url, f"delete from agent_feedback where id = '{deleted}'")
    run(database_url, f"update preference_pairs set review_status = 'approved' where feedback_id = '{other}'")
    assert stale_weeks(store, artifacts, WEEKS) == [
        StaleWeek(
            WEEK,
            (
                "3 rows of agent_feedback came late",
                "1 row of agent_feedback changed",
                "1 row of agent_feedback deleted",
                "2 rows of preference_pairs changed",
                "1 row of preference_pairs deleted",
            ),
        )
    ]
    publish(database_url, artifacts, WEEK)
    assert stale_weeks(store, artifacts, WEEKS) == []


def test_a_week_whose_rows_are_all_gone_is_stale_once(database_url: str, tmp_path: Path) -> None:
    store, artifacts = FeedbackStore(database_url), ArtifactStore(tmp_path)
    add_feedback(database_url, count=2)
    publish(database_url, artifacts, WEEK)
    run(database_url, "delete from agent_feedback")
    assert stale_weeks(store, artifacts, WEEKS) == [StaleWeek(WEEK, ("2 rows of agent_feedback deleted",))]
    publish(database_url, artifacts, WEEK)
    assert stale_weeks(store, artifacts, WEEKS) == []
