from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from grpo_pipeline.alerting import (
    missed_week,
    training_alert_sensor,
    training_failure_alert_sensor,
    watch_alert_sensor,
)
from grpo_pipeline.config import load_settings
from grpo_pipeline.monitors import ab_test_sensor
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.alerts.receiver import Receiver, receiving
from grpo_pipeline_tests.monitoring.database import CHALLENGER, CHAMPION, add_votes, in_use
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.weekly_feedback import add_edits

RESOURCES = {"feedback_store": FeedbackStoreResource(), "artifact_store": ArtifactStoreResource()}


def last_week() -> Week:
    return load_settings().complete_weeks()[-1]


@pytest.fixture
def receiver(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as found:
        monkeypatch.setenv("GRPO_ALERTS__URL", found.url)
        yield found


def ask(project: Project, sensor: dg.SensorDefinition, cursor: str | None = None) -> tuple[str, str | None]:
    needed = {name: RESOURCES[name] for name in sensor.required_resource_keys}
    with dg.build_sensor_context(instance=project.instance, resources=needed, cursor=cursor) as context:
        answer = sensor(context)
        assert isinstance(answer, dg.SkipReason)
        return str(answer.skip_message), context.cursor


def tell_of(result: dg.ExecuteInProcessResult, project: Project) -> None:
    """Let the sensors know of a run, as the daemon does once it is over."""
    ended = dg.DagsterEventType.RUN_SUCCESS if result.success else dg.DagsterEventType.RUN_FAILURE
    (event,) = [event for event in result.all_events if event.event_type == ended]
    sensor = training_alert_sensor if result.success else training_failure_alert_sensor
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_instance=project.instance, dagster_run=result.dagster_run, dagster_event=event
    )
    sensor(context if result.success else context.for_run_failure())


def test_a_week_that_trained_nothing_says_why(project: Project, receiver: Receiver) -> None:
    add_edits(project.url, last_week(), 5)
    tell_of(project.run("weekly_training_job", last_week().key), project)
    (alert,) = receiver.alerts
    assert (alert["event"], alert["week"], alert["trained"]) == ("training_finished", last_week().key, False)
    assert "of 20 new pairs" in alert["text"]
    assert "Analyze" not in str(receiver.alerts)


def test_a_week_that_trained_says_so_and_what_was_decided(project: Project, receiver: Receiver) -> None:
    result = project.run("monitoring_job", last_week().key)
    verdict = Verdict("pass", "Credibly better: preference accuracy +0.2.").as_manifest()
    manifests = {
        "grpo_policy": {"trained": True, "version": "v7", "verdict": verdict},
        "champion": {"champion": "v7", "promoted": True, "verdict": verdict},
    }
    for asset, manifest in manifests.items():
        with project.artifacts.draft(asset) as draft:
            project.artifacts.publish(draft, asset, last_week().key, manifest)
    tell_of(result, project)
    assert receiver.events == ["training_finished", "verdict"]
    finished, decided = receiver.alerts
    assert (finished["version"], finished["trained"]) == ("v7", True)
    assert (decided["verdict"], decided["promoted"], decided["champion"]) == ("pass", True, "v7")
    assert decided["text"].endswith("passed: Credibly better: preference accuracy +0.2.")


def test_a_training_that_failed_says_in_which_run(
    project: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_ARTIFACT_ROOT", "/proc/nowhere")
    result = project.run("weekly_training_job", last_week().key)
    assert not result.success
    tell_of(result, project)
    (alert,) = receiver.alerts
    assert (alert["event"], alert["week"], alert["run"]) == ("training_failed", last_week().key, result.run_id)
    assert "/proc/nowhere" not in alert["text"]


def test_a_worse_challenger_is_told_as_a_verdict_and_its_rollback_as_one(project: Project, receiver: Receiver) -> None:
    start = last_week().shift(-1).start
    in_use(project.url, start - timedelta(days=40), share=1 / 3, since=start)
    add_votes(project.url, start, 13, {CHAMPION: 120, CHALLENGER: 60}, {CHAMPION: 0.8, CHALLENGER: 0.4})
    _, seen = ask(project, watch_alert_sensor)
    ask(project, ab_test_sensor, ask(project, ab_test_sensor)[1])
    said, seen = ask(project, watch_alert_sensor, seen)
    assert said == "1 of 1 alerts sent."
    assert receiver.events == ["verdict", "rollback"]
    assert (receiver.alerts[1]["version"], receiver.alerts[1]["by"]) == (CHALLENGER, "ab_test")
    assert "Credibly worse: success 0.4" in receiver.alerts[1]["text"]
    assert ask(project, watch_alert_sensor, seen)[0] == "Nothing new."


def test_a_broken_webhook_neither_fails_the_sensor_nor_stops_the_rollback(project: Project, receiver: Receiver) -> None:
    receiver.status = 500
    start = last_week().shift(-1).start
    in_use(project.url, start - timedelta(days=40), share=1 / 3, since=start)
    add_votes(project.url, start, 13, {CHAMPION: 120, CHALLENGER: 60}, {CHAMPION: 0.8, CHALLENGER: 0.4})
    _, seen = ask(project, watch_alert_sensor)
    ask(project, ab_test_sensor)
    said, seen = ask(project, watch_alert_sensor, seen)
    assert said == "0 of 1 alerts sent."
    receiver.status = 200
    assert ask(project, watch_alert_sensor, seen)[0] == "1 of 1 alerts sent."
    champion = ModelRegistry(project.url).champion()
    assert champion is not None
    assert champion.version == CHAMPION


def test_a_schedule_that_did_not_run_is_missed_until_a_run_of_its_week_begins(project: Project) -> None:
    settings, week = load_settings(), last_week()
    late = week.end + settings.grace + timedelta(hours=7)
    assert missed_week(project.instance, project.artifacts, settings, late) is None
    with project.artifacts.draft("grpo_policy") as draft:
        project.artifacts.publish(draft, "grpo_policy", week.shift(-1).key, {"trained": False})
    assert missed_week(project.instance, project.artifacts, settings, late) == week
    early = week.end + settings.grace + timedelta(hours=5)
    assert missed_week(project.instance, project.artifacts, settings, early) is None
    create_run_for_test(
        project.instance,
        job_name="weekly_training_job",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": week.key},
    )
    assert missed_week(project.instance, project.artifacts, settings, late) is None


def test_weeks_out_of_date_are_told_when_nothing_refreshes_them(
    project: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_edits(project.url, last_week().shift(-3), 3)
    _, seen = ask(project, watch_alert_sensor)
    assert receiver.alerts == []
    monkeypatch.setenv("GRPO_ALERTS__STALE_HOURS", "0")
    assert ask(project, watch_alert_sensor, seen)[0] == "1 of 1 alerts sent."
    assert receiver.events == ["stale_weeks"]
    assert receiver.alerts[0]["first"] == last_week().shift(-3).key


def test_without_a_webhook_the_sensors_say_so(project: Project) -> None:
    assert ask(project, watch_alert_sensor) == ("GRPO_ALERTS__URL is not set.", None)
