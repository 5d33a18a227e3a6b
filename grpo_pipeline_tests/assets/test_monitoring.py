from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from grpo_pipeline.config import load_settings
from grpo_pipeline.monitors import ab_test_sensor, monitoring_schedule
from grpo_pipeline.registry.changes import model_changes
from grpo_pipeline.registry.traffic import challengers
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.monitoring.database import CHALLENGER, CHAMPION, add_votes, in_use
from grpo_pipeline_tests.project import Project, failure_texts


def last_week() -> Week:
    return load_settings().complete_weeks()[-1]


@pytest.fixture
def tried(project: Project) -> Project:
    """A challenger that is worse, tried by a third of the users in the last two complete weeks."""
    start = last_week().shift(-1).start
    in_use(project.url, start - timedelta(days=40), share=1 / 3, since=start)
    add_votes(project.url, start, 13, {CHAMPION: 120, CHALLENGER: 60}, {CHAMPION: 0.8, CHALLENGER: 0.4})
    return project


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dg.MetadataValue]:
    (event,) = result.asset_materializations_for_node(asset)
    return dict(event.metadata)


def test_the_weekly_job_says_how_users_judged_each_version_and_how_the_test_stands(tried: Project) -> None:
    result = tried.run("monitoring_job", last_week().key)
    assert result.success, failure_texts(result)
    rates = metadata(result, "success_rates")
    assert rates["votes"].value == tried.manifest("success_rates", last_week().key)["counts"]["votes"]
    assert "data:image/png;base64," in str(rates["success by version"].value)
    shown = metadata(result, "ab_test")
    assert shown["verdict"].value == "fail"
    assert "data:image/png;base64," in str(shown["difference to the champion"].value)
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.severity) == (
        "no_challenger_is_worse",
        False,
        dg.AssetCheckSeverity.WARN,
    )
    (standing,) = tried.manifest("ab_test", last_week().key)["standings"]
    assert (standing["champion"], standing["challenger"]) == (CHAMPION, CHALLENGER)
    assert standing["comparison"]["users"] == [120, 60]
    written = json.dumps(tried.manifest("ab_test", last_week().key)) + str(rates) + str(shown)
    assert "secret prompt" not in written


def test_an_asset_only_looks_however_bad_it_is(tried: Project) -> None:
    assert tried.run("monitoring_job", last_week().key).success
    assert [item.version for item in challengers(tried.url)] == [CHALLENGER]


def test_weeks_are_made_in_one_run_and_each_shows_what_was_known_at_its_end(tried: Project) -> None:
    first, second = last_week().shift(-1), last_week()
    assert tried.run("monitoring_job", first.key, second.key).success
    users = [
        sum(tried.manifest("ab_test", week.key)["standings"][0]["comparison"]["users"]) for week in (first, second)
    ]
    assert users[0] < users[1] == 180
    votes = [tried.manifest("success_rates", week.key)["counts"]["votes"] for week in (first, second)]
    assert sum(votes) == 3 * 180
    parquet = tried.artifacts.require("success_rates", first.key).path / "rates.parquet"
    assert set(pl.read_parquet(parquet)["week"]) == {first.key}


def test_a_week_without_feedback_or_challenger_is_made_too(project: Project) -> None:
    result = project.run("monitoring_job", last_week().key)
    assert result.success, failure_texts(result)
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]
    assert project.manifest("ab_test", last_week().key)["verdict"]["reason"] == "No challenger was tried."
    assert project.manifest("success_rates", last_week().key)["counts"] == {"feedback": 0, "votes": 0, "edits": 0}


def look(project: Project, cursor: str | None = None) -> tuple[str, str | None]:
    resources = {"feedback_store": FeedbackStoreResource()}
    with dg.build_sensor_context(instance=project.instance, resources=resources, cursor=cursor) as context:
        answer = ab_test_sensor(context)
        assert isinstance(answer, dg.SkipReason)
        return str(answer.skip_message), context.cursor


def test_the_sensor_takes_the_worse_challenger_out_of_use_once(tried: Project) -> None:
    said, cursor = look(tried)
    assert said.startswith(f"{CHALLENGER}: Credibly worse: ")
    assert challengers(tried.url) == []
    last = model_changes(tried.url)[-1]
    assert (last.changed_by, last.share) == ("ab_test", 0)
    assert look(tried, cursor)[0] == "No challenger is tried, and no champion is fresh."
    assert model_changes(tried.url)[-1] == last


def test_the_schedule_looks_at_the_week_that_ended(project: Project) -> None:
    monday = Week("2026-11-09").start + timedelta(hours=6, minutes=15)
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=monday) as context:
        request = monitoring_schedule(context)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-11-02"
    early = datetime(2025, 1, 6, 6, 15, tzinfo=UTC)
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=early) as context:
        assert isinstance(monitoring_schedule(context), dg.SkipReason)
