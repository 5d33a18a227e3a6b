from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from grpo_pipeline.postgres.connection import connect
from grpo_pipeline.registry.changes import model_changes, traffic_at, traffic_history
from grpo_pipeline.registry.registry import ModelRegistry, NothingToRollBackError
from grpo_pipeline.registry.traffic import challengers, set_share
from grpo_pipeline_tests.registry.models import model

A, B, C = "2026-11-02-aaaa1111", "2026-11-09-aaaa1111", "2026-11-16-aaaa1111"


@pytest.fixture
def registry(database_url: str) -> ModelRegistry:
    registry = ModelRegistry(database_url)
    for week in ("2026-11-02", "2026-11-09", "2026-11-16"):
        registry.register(model(week))
    return registry


def test_every_change_is_kept_with_who_made_it_and_why(registry: ModelRegistry, database_url: str) -> None:
    registry.promote(A, "pipeline", "better")
    set_share(database_url, B, 0.1, "me", "a first try")
    set_share(database_url, B, 0.1, "somebody else")
    set_share(database_url, B, 0, "ab_test", "worse")
    registry.promote(C, "pipeline", "better still")
    registry.rollback("me", "answers got longer")
    found = [
        (item.version, item.share, item.status, item.changed_by, item.reason) for item in model_changes(database_url)
    ]
    why = "rolled back by me: answers got longer"
    assert found == [
        (A, None, "champion", "pipeline", "better"),
        (B, 0.1, None, "me", "a first try"),
        (B, 0.0, None, "ab_test", "worse"),
        (A, None, "retired", "pipeline", f"replaced by {C}"),
        (C, None, "champion", "pipeline", "better still"),
        (C, None, "rejected", "me", why),
        (A, None, "champion", "me", f"back in use, {C} was {why}"),
    ]


def test_the_past_traffic_follows_from_the_changes(registry: ModelRegistry, database_url: str) -> None:
    registry.promote(A, "pipeline", "better")
    set_share(database_url, B, 0.1, "me")
    set_share(database_url, C, 0.3, "me")
    set_share(database_url, B, 0.2, "me")
    registry.promote(C, "pipeline", "better")
    registry.rollback("me", "worse")
    history = traffic_history(model_changes(database_url))
    shares = [(item.champion, dict(item.shares)) for item in history]
    assert shares == [
        (A, {}),
        (A, {B: 0.1}),
        (A, {B: 0.1, C: 0.3}),
        (A, {B: 0.2, C: 0.3}),
        (A, {B: 0.2, C: 0.3}),
        (C, {B: 0.2}),
        (C, {B: 0.2}),
        (A, {B: 0.2}),
    ]
    assert history[2].champion_share == pytest.approx(0.6)
    assert history[5].previous == A
    assert history[7].previous is None
    assert traffic_at(history, history[2].start) == history[2]
    assert traffic_at(history, history[0].start - timedelta(seconds=1)) is None
    assert [item.version for item in challengers(database_url)] == list(history[7].shares)


def test_who_judged_a_champion_that_is_none_any_more_rolls_nothing_back(registry: ModelRegistry) -> None:
    registry.promote(A, "pipeline", "better")
    registry.promote(B, "pipeline", "better")
    with pytest.raises(NothingToRollBackError, match="not the champion any more"):
        registry.rollback("ab_test", "worse", of=A)
    assert registry.rollback("ab_test", "worse", of=B).champion == registry.get(A)


def test_a_change_by_plain_sql_names_the_database_user(registry: ModelRegistry, database_url: str) -> None:
    registry.promote(A, "pipeline", "better")
    with connect(database_url) as connection:
        connection.execute("insert into challengers (version, share, started_by) values (%s, 0.2, 'psql')", (B,))
        connection.execute("delete from challengers")
        (user,) = connection.execute("select session_user::text").fetchone() or ("",)
    assert [item.changed_by for item in model_changes(database_url)][1:] == ["psql", user]


def test_a_change_tells_when_it_was_made(registry: ModelRegistry, database_url: str) -> None:
    registry.promote(A, "pipeline", "better")
    (first,) = model_changes(database_url)
    assert first.changed_at < datetime.now(UTC)
