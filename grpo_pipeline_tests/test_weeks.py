from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.weeks import Week, last_complete_week, weeks_between


def test_a_week_is_half_open_from_monday_to_monday_in_utc() -> None:
    week = Week("2026-11-02")
    assert week.start == datetime(2026, 11, 2, tzinfo=UTC)
    assert week.end == datetime(2026, 11, 9, tzinfo=UTC)
    assert Week.containing(week.start) == week
    assert Week.containing(week.end - timedelta(microseconds=1)) == week
    assert Week.containing(week.end) == week.shift(1)


def test_a_moment_in_another_zone_belongs_to_the_utc_week() -> None:
    sunday_evening_in_new_york = datetime(2026, 11, 8, 20, tzinfo=timezone(timedelta(hours=-5)))
    assert Week.containing(sunday_evening_in_new_york) == Week("2026-11-09")


@pytest.mark.parametrize("key", ["2026-11-03", "2026-13-01", "last week", ""])
def test_anything_but_a_monday_is_refused(key: str) -> None:
    with pytest.raises(PipelineError):
        Week(key)


def test_the_error_for_a_wrong_day_names_the_monday_before() -> None:
    with pytest.raises(PipelineError, match="2026-11-02"):
        Week("2026-11-05")


def test_weeks_between_includes_both_ends() -> None:
    assert [week.key for week in weeks_between(Week("2026-10-26"), Week("2026-11-09"))] == [
        "2026-10-26",
        "2026-11-02",
        "2026-11-09",
    ]
    assert weeks_between(Week("2026-11-09"), Week("2026-11-02")) == []


def test_a_week_is_complete_only_after_the_grace_period() -> None:
    monday = datetime(2026, 11, 9, tzinfo=UTC)
    grace = timedelta(hours=6)
    assert last_complete_week(monday + timedelta(hours=5, minutes=59), grace) == Week("2026-10-26")
    assert last_complete_week(monday + timedelta(hours=6), grace) == Week("2026-11-02")
