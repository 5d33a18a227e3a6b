from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest
from dagster._core.test_utils import create_run_for_test

from grpo_pipeline.automation import (
    enough_pairs_sensor,
    late_feedback_sensor,
    run_in_flight,
    weekly_cron,
    weekly_training_schedule,
)
from grpo_pipeline.config import load_settings
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.weekly_feedback import add_edits, delete_feedback

Answer = dg.RunRequest | dg.SkipReason
NOVEMBER = Week("2026-11-02")


def last_week() -> Week:
    return load_settings().complete_weeks()[-1]


def ask(project: Project, sensor: dg.SensorDefinition) -> Answer:
    resources = {
        "feedback_store": FeedbackStoreResource(),
        "artifact_store": ArtifactStoreResource(),
        "model_registry": ModelRegistryResource(),
    }
    needed = {name: resources[name] for name in sensor.required_resource_keys}
    with dg.build_sensor_context(instance=project.instance, resources=needed) as context:
        answer = sensor(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def skipped(answer: Answer) -> str:
    assert isinstance(answer, dg.SkipReason), answer
    return str(answer.skip_message)


def requested(answer: Answer) -> dg.RunRequest:
    assert isinstance(answer, dg.RunRequest), answer
    return answer


@pytest.fixture
def hundred(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("GRPO_DATASET__MIN_NEW_PAIRS", "100")
    return project


def test_ninety_nine_new_pairs_wait_and_the_sensor_says_how_many(hundred: Project) -> None:
    add_edits(hundred.url, last_week(), 99)
    assert skipped(ask(hundred, enough_pairs_sensor)) == "99 of 100 new pairs"


def test_a_hundred_new_pairs_train_the_last_complete_week(hundred: Project) -> None:
    add_edits(hundred.url, last_week(), 100)
    request = requested(ask(hundred, enough_pairs_sensor))
    assert (request.job_name, request.partition_key) == ("weekly_training_job", last_week().key)
    assert request.tags["grpo/new_pairs"] == "100"


def test_the_run_key_stays_while_the_data_does_and_changes_with_one_row(hundred: Project) -> None:
    ids = add_edits(hundred.url, last_week(), 101)
    first = requested(ask(hundred, enough_pairs_sensor)).run_key
    assert requested(ask(hundred, enough_pairs_sensor)).run_key == first
    delete_feedback(hundred.url, ids[:1])
    assert requested(ask(hundred, enough_pairs_sensor)).run_key != first


def test_the_current_week_does_not_count(hundred: Project) -> None:
    add_edits(hundred.url, last_week().shift(1), 100)
    assert skipped(ask(hundred, enough_pairs_sensor)) == "0 of 100 new pairs"


def test_nothing_is_launched_beside_a_run_that_is_at_work(hundred: Project) -> None:
    add_edits(hundred.url, last_week(), 100)
    week = last_week()
    run = create_run_for_test(
        hundred.instance,
        job_name="weekly_training_job",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": week.key},
    )
    assert run.run_id[:8] in skipped(ask(hundred, enough_pairs_sensor))
    assert run_in_flight(hundred.instance, week) == run.run_id[:8]
    assert run_in_flight(hundred.instance, week.shift(-1)) is None


def test_earlier_weeks_that_changed_are_refreshed_before_training(hundred: Project) -> None:
    before = last_week().shift(-2)
    add_edits(hundred.url, before, 60)
    add_edits(hundred.url, last_week(), 60)
    request = requested(ask(hundred, enough_pairs_sensor))
    assert request.job_name == "data_job"
    assert request.tags["dagster/partition"] == before.key


def test_data_that_was_decided_on_is_not_trained_again(hundred: Project) -> None:
    add_edits(hundred.url, last_week(), 100)
    with psycopg.connect(hundred.url) as connection:
        # Of one prompt that people of both sides answered, one side's pairs are left out of the dataset.
        connection.execute(
            "update preference_pairs set prompt = 'Analyze one company'"
            " where id in (select id from preference_pairs order by created_at limit 12)"
        )
    assert hundred.run("weekly_training_job", last_week().key).success
    assert not hundred.manifest("grpo_policy", last_week().key)["trained"]
    reason = skipped(ask(hundred, enough_pairs_sensor))
    assert reason.startswith("100 of 100 new pairs, decided on already: ")
    assert "of 100 new pairs: not trained" in reason
    add_edits(hundred.url, last_week(), 3)
    assert requested(ask(hundred, enough_pairs_sensor)).job_name == "weekly_training_job"


def test_late_and_deleted_rows_are_extracted_again_with_every_later_week(project: Project) -> None:
    first, second = last_week().shift(-3), last_week().shift(-2)
    ids = add_edits(project.url, first, 4)
    add_edits(project.url, second, 5)
    assert project.run("data_job", first.key, second.key).success
    assert skipped(ask(project, late_feedback_sensor)) == "Every week is as the database has it."
    delete_feedback(project.url, ids[:1])
    request = requested(ask(project, late_feedback_sensor))
    assert request.tags["dagster/asset_partition_range_start"] == first.key
    assert request.tags["dagster/asset_partition_range_end"] == second.key
    assert project.run("data_job", first.key, second.key).success
    assert skipped(ask(project, late_feedback_sensor)) == "Every week is as the database has it."


def test_the_schedule_trains_the_week_that_ended_that_monday(project: Project) -> None:
    monday = NOVEMBER.end + timedelta(hours=6, minutes=15)
    folder = project.home / "dagster"
    folder.mkdir(parents=True)
    with (
        dg.DagsterInstance.local_temp(str(folder)) as instance,
        dg.build_schedule_context(instance=instance, scheduled_execution_time=monday) as context,
    ):
        request = weekly_training_schedule(context)
        create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": NOVEMBER.key})
        beside = weekly_training_schedule(context)
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == (NOVEMBER.key, NOVEMBER.key)
    assert isinstance(beside, dg.SkipReason)


@pytest.mark.parametrize(
    ("hours", "cron"), [(0, "15 0 * * 1"), (6, "15 6 * * 1"), (6.5, "15 7 * * 1"), (30, "15 6 * * 2")]
)
def test_the_schedule_runs_in_utc_after_the_grace_period(hours: float, cron: str) -> None:
    assert weekly_cron(timedelta(hours=hours)) == cron
    assert weekly_training_schedule.execution_timezone == "UTC"
    moment = datetime(2026, 11, 9, tzinfo=UTC) + timedelta(hours=hours)
    assert moment >= NOVEMBER.end
