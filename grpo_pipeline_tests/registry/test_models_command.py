from __future__ import annotations

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from grpo_pipeline.cli.models import models_app
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline_tests.registry.models import model

FIRST, SECOND = "2026-10-05", "2026-10-12"


@pytest.fixture
def registry(database_url: str, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    monkeypatch.setenv("GRPO_DATABASE_URL", database_url)
    registry = ModelRegistry(database_url)
    for week in (FIRST, SECOND):
        registry.register(model(week))
    return registry


def run(*words: str) -> Result:
    return CliRunner().invoke(models_app, list(words), env={"COLUMNS": "200"})


def test_the_list_shows_every_version_and_what_became_of_it(registry: ModelRegistry) -> None:
    registry.promote(model(FIRST).version, "ada", "better")
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(f"{SECOND}-aaaa1111" in line and "candidate" in line for line in lines)
    assert any(f"{FIRST}-aaaa1111" in line and "champion" in line and "ada" in line for line in lines)
    assert [item["version"] for item in json.loads(run("list", "--json").stdout)] == [
        f"{SECOND}-aaaa1111",
        f"{FIRST}-aaaa1111",
    ]


def test_an_empty_registry_says_how_to_train(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_DATABASE_URL", database_url)
    assert "grpo-pipeline train" in run("list").stdout
    assert json.loads(run("list", "--json").stdout) == []


def test_show_gives_the_verdict_and_the_metrics(registry: ModelRegistry) -> None:
    shown = run("show", model(FIRST).version).stdout
    assert "pass: 3 points better" in shown
    assert "preference_accuracy.candidate" in shown
    assert "0.61" in shown
    as_json = json.loads(run("show", model(FIRST).version, "--json").stdout)
    assert as_json["week"] == FIRST
    assert as_json["verdict"]["status"] == "pass"


def test_square_brackets_in_a_reason_are_shown_as_they_are(registry: ModelRegistry) -> None:
    run("promote", model(FIRST).version, "--reason", "fewer [bold] claims", "--by", "[ada]")
    shown = run("show").stdout
    assert "fewer [bold] claims" in shown
    assert "by [ada]" in shown


def test_show_without_a_name_shows_the_champion_or_says_there_is_none(registry: ModelRegistry) -> None:
    missing = run("show")
    assert missing.exit_code != 0
    assert isinstance(missing.exception, PipelineError)
    registry.promote(model(FIRST).version, "ada", "better")
    assert model(FIRST).version in run("show").stdout


def test_promote_says_what_it_replaced_and_may_be_repeated(registry: ModelRegistry) -> None:
    first, second = model(FIRST).version, model(SECOND).version
    assert run("promote", first).exit_code == 0
    result = run("promote", second, "--by", "ada", "--reason", "better tone")
    assert f"{second} is now the champion, in place of {first}." in result.stdout
    again = run("promote", second)
    assert (again.exit_code, again.stdout.strip()) == (0, f"{second} is the champion already.")
    champion = registry.champion()
    assert champion
    assert (champion.promoted_by, champion.status_reason) == ("ada", "better tone")


def test_a_refused_promotion_exits_with_3_and_names_the_way_out(registry: ModelRegistry) -> None:
    first, second = model(FIRST).version, model(SECOND).version
    run("promote", second)
    refused = run("promote", first)
    assert refused.exit_code == 3
    assert "older than the champion" in refused.stderr
    assert "--force" in refused.stderr
    assert json.loads(run("promote", first, "--json").stdout)["outcome"] == "refused"
    assert run("promote", first, "--force").exit_code == 2
    assert run("promote", first, "--force", "--reason", "needed").exit_code == 0


def test_rollback_goes_back_and_needs_a_reason(registry: ModelRegistry) -> None:
    first, second = model(FIRST).version, model(SECOND).version
    run("promote", first)
    run("promote", second)
    assert run("rollback").exit_code == 2
    result = run("rollback", "--reason", "wrong tone")
    assert result.stdout.strip() == f"{first} is the champion again, in place of {second}."
    assert registry.get(second).status == "rejected"


def test_an_unknown_version_is_a_clear_error(registry: ModelRegistry) -> None:
    result = run("show", "nothing")
    assert isinstance(result.exception, PipelineError)
    assert "grpo-pipeline models list" in str(result.exception)
