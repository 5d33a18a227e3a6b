from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from grpo_pipeline.config import Settings
from grpo_pipeline.monitoring.look import look, rates_of_weeks
from grpo_pipeline.monitoring.rollback import take_out_the_worse
from grpo_pipeline.monitoring.settings import MonitoringSettings
from grpo_pipeline.registry.changes import model_changes
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.traffic import challengers, set_share
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.monitoring.database import CHALLENGER, CHAMPION, FIRST, add_votes, in_use

NOW = datetime.now(UTC)
START = NOW - timedelta(days=12)
BOTH = {CHAMPION: 120, CHALLENGER: 60}


def settings(**monitoring: object) -> Settings:
    return Settings(monitoring=MonitoringSettings(**monitoring))  # type: ignore[arg-type]


@pytest.fixture
def tried(database_url: str) -> str:
    """A champion of long ago and a challenger that a third of the users try since twelve days."""
    in_use(database_url, NOW - timedelta(days=60), share=1 / 3, since=START)
    return database_url


def test_a_challenger_that_is_credibly_worse_loses_its_share_once_and_for_stated_reasons(tried: str) -> None:
    add_votes(tried, START, 10, BOTH, {CHAMPION: 0.8, CHALLENGER: 0.4})
    found = look(tried, settings(), NOW)
    (action,) = take_out_the_worse(tried, found, settings().monitoring)
    assert (action.version, challengers(tried)) == (CHALLENGER, [])
    last = model_changes(tried)[-1]
    assert (last.version, last.share, last.changed_by, last.reason) == (CHALLENGER, 0, "ab_test", action.reason)
    assert action.reason.startswith("Credibly worse: success 0.4")
    assert "60 against 120 users" in action.reason
    assert take_out_the_worse(tried, look(tried, settings(), datetime.now(UTC)), settings().monitoring) == []
    assert take_out_the_worse(tried, found, settings().monitoring)[0].version == CHALLENGER
    assert len(model_changes(tried)) == last.id
    champion = ModelRegistry(tried).champion()
    assert champion is not None
    assert champion.version == CHAMPION


def test_an_equal_challenger_and_one_whose_rollback_is_switched_off_keep_theirs(tried: str) -> None:
    add_votes(tried, START, 10, BOTH, {CHAMPION: 0.8, CHALLENGER: 0.4})
    off = settings(rollback_challenger=False)
    found = look(tried, off, NOW)
    assert found.standings[0].verdict.status == "fail"
    assert take_out_the_worse(tried, found, off.monitoring) == []
    assert [item.version for item in challengers(tried)] == [CHALLENGER]


def test_a_challenger_tried_again_starts_with_nothing_held_against_it(tried: str) -> None:
    add_votes(tried, START, 10, BOTH, {CHAMPION: 0.8, CHALLENGER: 0.4})
    take_out_the_worse(tried, look(tried, settings(), NOW), settings().monitoring)
    set_share(tried, CHALLENGER, 0.2, "a person")
    found = look(tried, settings(), datetime.now(UTC))
    assert found.standings[0].comparison.users == (0, 0)
    assert take_out_the_worse(tried, found, settings().monitoring) == []


def test_a_look_at_an_earlier_moment_sees_what_was_known_then(tried: str) -> None:
    add_votes(tried, START, 10, BOTH, {CHAMPION: 0.8, CHALLENGER: 0.4})
    assert look(tried, settings(), START - timedelta(days=1)).standings == ()
    early = look(tried, settings(), START + timedelta(days=3)).standings[0]
    late = look(tried, settings(), NOW).standings[0]
    assert sum(early.comparison.users) < sum(late.comparison.users) == 180
    assert early.ratio is not None


def test_a_fresh_champion_is_rolled_back_where_that_is_switched_on_and_the_one_brought_back_is_not(
    database_url: str,
) -> None:
    in_use(database_url, START)
    add_votes(database_url, START - timedelta(days=20), 15, {FIRST: 80}, {FIRST: 0.85})
    add_votes(database_url, START, 10, {CHAMPION: 80}, {CHAMPION: 0.4}, seed=1)
    found, on = look(database_url, settings(), NOW), settings(rollback_champion=True)
    assert found.fresh is not None
    assert found.fresh.verdict.status == "fail"
    assert take_out_the_worse(database_url, found, settings().monitoring) == []
    (action,) = take_out_the_worse(database_url, found, on.monitoring)
    registry = ModelRegistry(database_url)
    champion = registry.champion()
    assert champion is not None
    assert (action.version, champion.version) == (CHAMPION, FIRST)
    rejected = registry.get(CHAMPION)
    assert rejected.status == "rejected"
    assert (rejected.status_reason or "").startswith("rolled back by ab_test: Credibly worse: success 0.")
    assert {change.changed_by for change in model_changes(database_url)[-2:]} == {"ab_test"}
    assert look(database_url, on, datetime.now(UTC)).fresh is None
    assert take_out_the_worse(database_url, found, on.monitoring) == []


def test_an_empty_database_has_a_look_too(database_url: str) -> None:
    found = look(database_url, settings(), NOW)
    assert (found.champion, found.standings, found.fresh) == (None, (), None)
    week = Week.containing(NOW)
    assert rates_of_weeks(database_url, settings(), week.shift(-3), week).is_empty()


def test_rates_of_weeks_count_each_week_by_itself(tried: str) -> None:
    add_votes(tried, START, 10, BOTH, {CHAMPION: 0.8, CHALLENGER: 0.4})
    rates = rates_of_weeks(tried, settings(), Week.containing(START), Week.containing(NOW))
    assert set(rates["model_version"]) == {CHAMPION, CHALLENGER}
    assert rates["votes"].sum() == 3 * 180
    assert rates["people"].sum() >= 180
