"""Weeks, the partition key: half-open in UTC, from Monday 00:00 to the next Monday 00:00."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from grpo_pipeline.errors import PipelineError

ONE_WEEK = timedelta(days=7)


@dataclass(frozen=True, order=True)
class Week:
    """One week of feedback, named by its Monday, such as 2026-11-02."""

    key: str

    def __post_init__(self) -> None:
        try:
            monday = date.fromisoformat(self.key)
        except ValueError as error:
            raise PipelineError(
                f"'{self.key}' is not a week: give the Monday it starts on, such as 2026-11-02."
            ) from error
        if monday.weekday() != 0:
            nearest = monday - timedelta(days=monday.weekday())
            raise PipelineError(f"{self.key} is a {monday:%A}; weeks start on Mondays. Did you mean {nearest}?")

    @property
    def start(self) -> datetime:
        """Monday 00:00 UTC, included."""
        return datetime.combine(date.fromisoformat(self.key), time(), tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The next Monday 00:00 UTC, excluded."""
        return self.start + ONE_WEEK

    def shift(self, count: int) -> Week:
        """The week `count` weeks later (earlier where negative)."""
        return Week.containing(self.start + count * ONE_WEEK)

    @classmethod
    def containing(cls, moment: datetime) -> Week:
        """The week in which a timezone-aware moment lies."""
        day = moment.astimezone(UTC).date()
        return cls((day - timedelta(days=day.weekday())).isoformat())


def weeks_between(first: Week, last: Week) -> list[Week]:
    """Every week from `first` to `last`, both included; empty where `last` is the earlier one."""
    count = (last.start - first.start) // ONE_WEEK
    return [first.shift(offset) for offset in range(count + 1)]


def last_complete_week(now: datetime, grace: timedelta = timedelta(0)) -> Week:
    """The latest week that ended at least `grace` before `now`."""
    return Week.containing(now - grace).shift(-1)
