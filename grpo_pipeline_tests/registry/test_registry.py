from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import connect
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.registry.models import model

FIRST, SECOND, THIRD = "2026-10-05", "2026-10-12", "2026-10-19"


@pytest.fixture
def registry(database_url: str) -> ModelRegistry:
    return ModelRegistry(database_url)


def promoted(registry: ModelRegistry, *weeks: str) -> list[str]:
    """Register and promote a version of each week, in that order."""
    versions = [registry.register(model(week)).version for week in weeks]
    for version in versions:
        assert registry.promote(version, "pipeline", "better").outcome == "promoted"
    return versions


def champions(registry: ModelRegistry) -> list[str]:
    return [item.version for item in registry.list() if item.status == "champion"]


def test_a_registered_version_comes_back_as_it_was(registry: ModelRegistry) -> None:
    given = model(FIRST)
    found = registry.register(given)
    assert replace(found, created_at=None) == given
    assert registry.get(given.version) == found
    assert registry.list() == [found]
    assert registry.champion() is None


def test_registering_again_renews_the_verdict_and_adds_nothing(registry: ModelRegistry) -> None:
    registry.register(model(FIRST, status="inconclusive"))
    renewed = registry.register(model(FIRST))
    assert renewed.verdict == Verdict("pass", "3 points better, 95% interval 1 to 5")
    assert len(registry.list()) == 1


def test_a_metric_that_is_no_number_is_kept_as_null(registry: ModelRegistry) -> None:
    given = replace(model(FIRST), metrics={"loss": float("nan"), "all": [1.0, float("inf")]})
    assert registry.register(given).metrics == {"loss": None, "all": [1.0, None]}


def test_a_champion_is_not_registered_but_promoted(registry: ModelRegistry) -> None:
    with pytest.raises(ValueError, match="candidate or rejected"):
        registry.register(replace(model(FIRST), status="champion"))


def test_a_promotion_retires_the_champion_and_records_who_and_why(registry: ModelRegistry) -> None:
    first, second = promoted(registry, FIRST, SECOND)
    champion = registry.champion()
    assert champion
    assert (champion.version, champion.promoted_by, champion.status_reason) == (second, "pipeline", "better")
    assert registry.get(first).status == "retired"
    assert registry.get(first).status_reason == f"replaced by {second}"


def test_promoting_the_champion_again_changes_nothing(registry: ModelRegistry) -> None:
    (version,) = promoted(registry, FIRST)
    before = registry.champion()
    again = registry.promote(version, "someone else", "again")
    assert again.outcome == "already_champion"
    assert registry.champion() == before


def test_an_older_week_never_replaces_a_newer_champion_unless_a_person_forces_it(registry: ModelRegistry) -> None:
    (newer,) = promoted(registry, SECOND)
    older = registry.register(model(FIRST)).version
    refused = registry.promote(older, "pipeline", "better")
    assert refused.outcome == "refused"
    assert refused.reason == (f"{older} is of week {FIRST}, older than the champion {newer} of week {SECOND}.")
    assert champions(registry) == [newer]
    assert registry.promote(older, "ada", "needed", force=True).outcome == "promoted"
    assert champions(registry) == [older]


def test_another_version_of_the_champion_s_week_may_replace_it(registry: ModelRegistry) -> None:
    promoted(registry, FIRST)
    again = registry.register(model(FIRST, "bbbb2222")).version
    assert registry.promote(again, "pipeline", "better").outcome == "promoted"


@pytest.mark.parametrize("status", ["fail", "inconclusive", "skipped"])
def test_only_a_passed_version_is_promoted_by_itself(registry: ModelRegistry, status: str) -> None:
    given = model(FIRST, status=status)  # type: ignore[arg-type]
    version = registry.register(given).version
    refused = registry.promote(version, "pipeline", "better")
    assert refused.outcome == "refused"
    assert f"did not pass its evaluation ({status}: " in refused.reason
    assert champions(registry) == []


def test_a_version_that_was_rejected_or_never_evaluated_is_refused(registry: ModelRegistry) -> None:
    rejected = registry.register(replace(model(FIRST), status="rejected", status_reason="worse")).version
    assert registry.promote(rejected, "pipeline", "x").reason == f"{rejected} was rejected (worse)."
    blind = registry.register(replace(model(SECOND), verdict=None)).version
    assert registry.promote(blind, "pipeline", "x").reason == f"{blind} was not evaluated."


def test_a_rollback_returns_to_the_champion_before_and_says_why(registry: ModelRegistry) -> None:
    first, second = promoted(registry, FIRST, SECOND)
    done = registry.rollback("ada", "wrong tone")
    assert done.champion
    assert done.champion.version == first
    assert champions(registry) == [first]
    assert registry.get(second).status == "rejected"
    assert registry.get(second).status_reason == "rolled back by ada: wrong tone"


def test_what_was_rolled_back_stays_so_when_its_week_is_made_again(registry: ModelRegistry) -> None:
    first, second = promoted(registry, FIRST, SECOND)
    registry.rollback("ada", "wrong tone")
    assert registry.register(model(SECOND)).status == "rejected"
    assert registry.promote(second, "pipeline", "better").outcome == "refused"
    assert champions(registry) == [first]


def test_rollbacks_go_back_one_champion_at_a_time_and_then_no_further(registry: ModelRegistry) -> None:
    versions = promoted(registry, FIRST, SECOND, THIRD)
    assert registry.rollback("ada", "x").champion == registry.get(versions[1])
    assert registry.rollback("ada", "y").champion == registry.get(versions[0])
    with pytest.raises(PipelineError, match=f"no champion before {versions[0]}"):
        registry.rollback("ada", "z")
    assert champions(registry) == [versions[0]]


def test_a_rollback_without_a_champion_says_so(registry: ModelRegistry) -> None:
    with pytest.raises(PipelineError, match="no champion to roll back"):
        registry.rollback("ada", "x")


def test_an_unknown_version_is_named_and_changes_nothing(registry: ModelRegistry) -> None:
    (version,) = promoted(registry, FIRST)
    with pytest.raises(PipelineError, match="no model version '2026-10-05-nothing'"):
        registry.promote("2026-10-05-nothing", "ada", "x", force=True)
    assert champions(registry) == [version]


def test_the_last_trained_week_is_the_latest_earlier_one_whatever_became_of_it(registry: ModelRegistry) -> None:
    registry.register(model(FIRST))
    second = registry.register(model(SECOND, status="fail")).version
    registry.register(model(THIRD))
    found = registry.last_trained(Week(THIRD))
    assert found
    assert found.version == second
    assert registry.last_trained(Week(FIRST)) is None


def test_promotions_at_once_leave_exactly_one_champion_of_the_newest_week(registry: ModelRegistry) -> None:
    weeks = [Week(FIRST).shift(number) for number in range(8)]
    versions = [registry.register(model(week.key)).version for week in weeks]
    start = threading.Barrier(len(versions))

    def promote(version: str) -> str:
        start.wait()
        return registry.promote(version, "pipeline", "better").outcome

    with ThreadPoolExecutor(len(versions)) as pool:
        outcomes = list(pool.map(promote, versions))
    assert champions(registry) == [versions[-1]]
    assert outcomes[-1] == "promoted"
    retired = [item.version for item in registry.list() if item.status == "retired"]
    assert len(retired) == outcomes.count("promoted") - 1


def test_two_rollbacks_at_once_go_back_two_champions(registry: ModelRegistry) -> None:
    versions = promoted(registry, FIRST, SECOND, THIRD)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: registry.rollback(name, "x"), ["ada", "bob"]))
    assert champions(registry) == [versions[0]]


def test_a_promotion_that_breaks_off_changes_nothing(registry: ModelRegistry, database_url: str) -> None:
    (version,) = promoted(registry, FIRST)
    registry.register(model(SECOND))
    with connect(database_url) as connection:
        connection.execute("alter table model_versions add constraint broken check (promoted_by <> 'ada') not valid")
    with pytest.raises(PipelineError):
        registry.promote(model(SECOND).version, "ada", "better")
    assert champions(registry) == [version]


def test_a_database_without_tables_says_what_to_run(empty_database_url: str) -> None:
    with pytest.raises(PipelineError, match="grpo-pipeline db migrate"):
        ModelRegistry(empty_database_url).list()


def test_the_champion_before_a_week_is_the_last_one_in_use_of_an_earlier_week(registry: ModelRegistry) -> None:
    first, second = promoted(registry, FIRST, SECOND)
    registry.register(model(SECOND, "bbbb2222"))
    found = {week: registry.champion_before(Week(week)) for week in (FIRST, SECOND, THIRD)}
    assert {week: item.version if item else None for week, item in found.items()} == {
        FIRST: None,
        SECOND: first,
        THIRD: second,
    }
    registry.rollback("somebody", "it talks too much")
    back = registry.champion_before(Week(THIRD))
    assert back is not None
    assert back.version == first
