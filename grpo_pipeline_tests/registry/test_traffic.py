from __future__ import annotations

from datetime import UTC, datetime

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.traffic import Challenger, assigned, challengers, set_share
from grpo_pipeline_tests.registry.models import model

USERS = [f"user {number}" for number in range(20_000)]
A, B, C = "2026-11-02-aaaa1111", "2026-11-09-aaaa1111", "2026-11-16-aaaa1111"


def challenger(version: str, share: float) -> Challenger:
    return Challenger(version, share, datetime(2026, 11, 1, tzinfo=UTC), "test")


def share_of(version: str | None, found: list[Challenger]) -> float:
    return sum(assigned(user, A, found) == version for user in USERS) / len(USERS)


def test_without_challengers_everyone_gets_the_champion() -> None:
    assert {assigned(user, A, []) for user in USERS} == {A}
    assert assigned("anyone", None, []) is None


def test_each_challenger_gets_its_share_of_the_users() -> None:
    found = [challenger(B, 0.1), challenger(C, 0.3)]
    assert share_of(B, found) == pytest.approx(0.1, abs=0.01)
    assert share_of(C, found) == pytest.approx(0.3, abs=0.01)
    assert share_of(A, found) == pytest.approx(0.6, abs=0.01)


def test_a_user_keeps_his_version_and_a_share_that_grows_keeps_its_users() -> None:
    small, large = [challenger(B, 0.1)], [challenger(B, 0.2)]
    first = {user for user in USERS if assigned(user, A, small) == B}
    assert first == {user for user in USERS if assigned(user, A, small) == B}
    assert first < {user for user in USERS if assigned(user, A, large) == B}


def test_it_is_not_always_the_same_users_who_try_something() -> None:
    tried = [{user for user in USERS if assigned(user, A, [challenger(version, 0.1)]) == version} for version in (B, C)]
    assert len(tried[0] & tried[1]) / len(tried[0]) == pytest.approx(0.1, abs=0.03)


@pytest.fixture
def registry(database_url: str) -> ModelRegistry:
    registry = ModelRegistry(database_url)
    for week in ("2026-11-02", "2026-11-09", "2026-11-16"):
        registry.register(model(week))
    registry.promote(A, "test", "better")
    return registry


@pytest.mark.usefixtures("registry")
def test_a_share_is_set_changed_and_ended(database_url: str) -> None:
    set_share(database_url, C, 0.2, "me")
    assert [(item.version, item.share) for item in set_share(database_url, B, 0.1, "me")] == [(C, 0.2), (B, 0.1)]
    assert [(item.version, item.share) for item in set_share(database_url, C, 0.5, "me")] == [(C, 0.5), (B, 0.1)]
    assert [item.version for item in set_share(database_url, C, 0, "me")] == [B]
    assert [item.started_by for item in challengers(database_url)] == ["me"]


def test_who_becomes_champion_or_is_rolled_back_challenges_nobody(registry: ModelRegistry, database_url: str) -> None:
    set_share(database_url, B, 0.1, "me")
    registry.promote(B, "test", "better")
    assert challengers(database_url) == []
    registry.rollback("test", "worse")
    assert challengers(database_url) == []


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("version", "share", "said"),
    [("nothing", 0.1, "no model version"), (A, 0.1, "it is champion"), (B, 1, "less than 1"), (B, -0.1, "at least 0")],
)
def test_a_share_that_cannot_be_is_explained(database_url: str, version: str, share: float, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        set_share(database_url, version, share, "me")


@pytest.mark.usefixtures("registry")
def test_something_is_left_to_the_champion(database_url: str) -> None:
    set_share(database_url, B, 0.6, "me")
    with pytest.raises(PipelineError, match="leave nothing to the champion"):
        set_share(database_url, C, 0.4, "me")
    assert [item.version for item in challengers(database_url)] == [B]
