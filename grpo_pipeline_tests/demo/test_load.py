"""Loading the sample into a real database."""

from __future__ import annotations

from collections import Counter

import pytest

from grpo_pipeline.demo.load import load_sample
from grpo_pipeline.demo.sample import read_sample
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import connect, transaction
from grpo_pipeline.weeks import Week, weeks_between

LAST = Week("2026-10-26")


def rows_by_week(url: str, table: str) -> dict[str, int]:
    with connect(url) as connection:
        counted = connection.execute(
            f"select date_trunc('week', created_at at time zone 'utc')::date::text, count(*) from {table} group by 1"
        )
        return dict(counted.fetchall())


def test_the_sample_lies_in_the_twelve_weeks_up_to_the_last(database_url: str) -> None:
    loaded = load_sample(database_url, LAST)
    lines = read_sample()
    assert loaded.weeks == weeks_between(LAST.shift(-11), LAST)
    assert (loaded.new, loaded.present) == (len(lines), 0)
    expected = Counter(loaded.weeks[line["weekOffset"]].key for line in lines)
    assert rows_by_week(database_url, "agent_feedback") == expected
    edits = Counter(loaded.weeks[line["weekOffset"]].key for line in lines if line["feedbackType"] == "edit")
    assert rows_by_week(database_url, "preference_pairs") == edits


def test_loading_again_changes_nothing_even_weeks_later(database_url: str) -> None:
    first = load_sample(database_url, LAST)
    before = rows_by_week(database_url, "agent_feedback")
    again = load_sample(database_url, LAST.shift(3))
    assert again.weeks == first.weeks
    assert (again.new, again.present) == (0, first.new)
    assert rows_by_week(database_url, "agent_feedback") == before


def test_rows_that_somebody_deleted_do_not_come_back(database_url: str) -> None:
    load_sample(database_url, LAST)
    with transaction(database_url) as connection:
        deleted = connection.execute("delete from agent_feedback where feedback_type = 'comment'").rowcount
    assert deleted
    assert load_sample(database_url, LAST).new == 0


def test_feedback_of_somebody_else_is_not_mixed_with_the_sample(database_url: str) -> None:
    with transaction(database_url) as connection:
        connection.execute(
            "insert into agent_feedback (feedback_type, prompt, response) values ('thumbs_up', 'a question', 'hm')"
        )
    with pytest.raises(PipelineError, match="GRPO_HOME"):
        load_sample(database_url, LAST)
    assert sum(rows_by_week(database_url, "agent_feedback").values()) == 1
