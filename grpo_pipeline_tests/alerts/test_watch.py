from __future__ import annotations

from datetime import UTC, datetime, timedelta

from grpo_pipeline.alerts.watch import Memory, missed_alerts, rollback_alerts, stale_alerts
from grpo_pipeline.registry.changes import model_changes
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.traffic import set_share
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.registry.models import model

NOW = datetime(2026, 11, 20, tzinfo=UTC)
A, B, C = "2026-11-02-aaaa1111", "2026-11-09-aaaa1111", "2026-11-16-aaaa1111"
FIRST, SECOND = Week("2026-11-02"), Week("2026-11-09")
PATIENCE = timedelta(hours=24)


def test_rollbacks_by_anyone_are_told_once_and_those_of_before_are_no_news(database_url: str) -> None:
    registry = ModelRegistry(database_url)
    for week in ("2026-11-02", "2026-11-09", "2026-11-16"):
        registry.register(model(week))
    registry.promote(A, "pipeline", "better")
    registry.promote(B, "pipeline", "better")
    registry.rollback("a person", "an old story")
    changes = model_changes(database_url)
    memory = Memory.of_cursor(None, changes)
    assert rollback_alerts(memory, changes) == ([], memory)
    set_share(database_url, C, 0.2, "a person")
    set_share(database_url, C, 0, "a person", "enough seen")
    set_share(database_url, C, 0.2, "a person")
    set_share(database_url, C, 0, "ab_test", "Credibly worse.")
    registry.promote(C, "pipeline", "better")
    registry.rollback("a person", "answers got longer")
    alerts, memory = rollback_alerts(memory, model_changes(database_url))
    assert [(alert.facts["version"], alert.facts["role"], alert.facts["by"]) for alert in alerts] == [
        (C, "challenger", "ab_test"),
        (C, "champion", "a person"),
    ]
    assert alerts[1].text.endswith("rolled back by a person: answers got longer")
    again = Memory.of_cursor(memory.as_cursor(), model_changes(database_url))
    assert again == memory
    assert rollback_alerts(again, model_changes(database_url))[0] == []


def test_weeks_are_told_once_they_have_been_out_of_date_for_long() -> None:
    alerts, memory = stale_alerts(Memory(0), [SECOND, FIRST], NOW, PATIENCE)
    assert alerts == []
    memory = Memory.of_cursor(memory.as_cursor(), [])
    alerts, memory = stale_alerts(memory, [FIRST], NOW + timedelta(hours=25), PATIENCE)
    assert [alert.facts for alert in alerts] == [{"weeks": 1, "first": FIRST.key, "last": FIRST.key}]
    assert stale_alerts(memory, [FIRST], NOW + timedelta(hours=26), PATIENCE)[0] == []
    later = NOW + timedelta(hours=60)
    alerts, memory = stale_alerts(memory, [FIRST, SECOND], NOW + timedelta(hours=30), PATIENCE)
    assert alerts == []
    assert [alert.facts["weeks"] for alert in stale_alerts(memory, [FIRST, SECOND], later, PATIENCE)[0]] == [2]
    _, repaired = stale_alerts(memory, [], later, PATIENCE)
    assert (repaired.stale_since, repaired.told_stale) == ({}, ())


def test_a_missed_schedule_is_told_once_a_week() -> None:
    assert missed_alerts(Memory(0), None) == ([], Memory(0))
    alerts, memory = missed_alerts(Memory(0), FIRST)
    assert [(alert.event, alert.facts) for alert in alerts] == [("schedule_missed", {"week": FIRST.key})]
    assert missed_alerts(memory, FIRST)[0] == []
    assert len(missed_alerts(memory, SECOND)[0]) == 1
