"""What has happened since the last look and is worth an alert: rollbacks, weeks long out of date, a missed schedule."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from grpo_pipeline.alerts.alert import Alert
from grpo_pipeline.monitoring.rollback import WHO
from grpo_pipeline.registry.changes import ModelChange
from grpo_pipeline.weeks import Week


@dataclass(frozen=True)
class Memory:
    """What earlier looks have seen and said.

    Attributes:
        last_change: id of the last change that was looked at.
        stale_since: when each week that is out of date was first seen so.
        told_stale: the weeks that an alert named while they were.
        told_missed: the last week whose training an alert missed.
    """

    last_change: int
    stale_since: dict[str, datetime] = field(default_factory=dict)
    told_stale: tuple[str, ...] = ()
    told_missed: str | None = None

    def as_cursor(self) -> str:
        """The memory as a sensor keeps it."""
        return _MEMORY.dump_json(self).decode()

    @classmethod
    def of_cursor(cls, cursor: str | None, changes: Sequence[ModelChange]) -> Memory:
        """The memory of the last look; before the first one, nothing that happened earlier is news."""
        if cursor:
            return _MEMORY.validate_json(cursor)
        return cls(changes[-1].id if changes else 0)


_MEMORY = TypeAdapter(Memory)


def rollback_alerts(memory: Memory, changes: Sequence[ModelChange]) -> tuple[list[Alert], Memory]:
    """Champions that were rolled back, by anyone, and challengers whose share the A/B test ended.

    Args:
        memory: of the last look.
        changes: all of them, the earliest first.
    """
    champion, found = None, []
    for item in changes:
        ended = item.share == 0 and item.changed_by == WHO
        if (ended or (item.status == "rejected" and item.version == champion)) and item.id > memory.last_change:
            text = f"Rollback: {item.version} was taken out of use by {item.changed_by}. {item.reason or ''}".strip()
            role = "challenger" if ended else "champion"
            found.append(Alert("rollback", text, {"version": item.version, "role": role, "by": item.changed_by}))
        champion = item.version if item.status == "champion" else champion
    return found, replace(memory, last_change=changes[-1].id if changes else memory.last_change)


def stale_alerts(
    memory: Memory, stale: Collection[Week], now: datetime, patience: timedelta
) -> tuple[list[Alert], Memory]:
    """Weeks that have differed from the database for longer than a sensor needs to refresh them; each told once."""
    since = {week.key: memory.stale_since.get(week.key, now) for week in sorted(stale)}
    long = [key for key, moment in since.items() if now - moment >= patience]
    news = [key for key in long if key not in memory.told_stale]
    after = replace(memory, stale_since=since, told_stale=tuple(long))
    if not news:
        return [], after
    text = (
        f"{len(long)} weeks have not been as the database has them for {patience / timedelta(hours=1):g} hours: "
        f"{', '.join(long[:5])}{' ...' if len(long) > 5 else ''}. Turn on late_feedback_sensor, or run "
        "`grpo-pipeline backfill`."
    )
    return [Alert("stale_weeks", text, {"weeks": len(long), "first": long[0], "last": long[-1]})], after


def missed_alerts(memory: Memory, missed: Week | None) -> tuple[list[Alert], Memory]:
    """A week whose training should have begun; told once."""
    if missed is None or missed.key == memory.told_missed:
        return [], memory
    text = (
        f"The training of week {missed.key} has not started: turn on weekly_training_schedule and see that the Dagster "
        f"daemon runs, or run `grpo-pipeline train --week {missed.key}`."
    )
    return [Alert("schedule_missed", text, {"week": missed.key})], replace(memory, told_missed=missed.key)
