"""Sensors that send alerts: what runs came to, and what happened to versions and weeks in between.

A webhook that fails is said in the log of the sensor; nothing waits for it and nothing fails with it.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from grpo_pipeline.alerts.alert import Alert
from grpo_pipeline.alerts.training import tool_calling_alerts, training_alerts
from grpo_pipeline.alerts.watch import Memory, missed_alerts, rollback_alerts, stale_alerts
from grpo_pipeline.alerts.webhook import send
from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.automation import MARGIN_MINUTES, PARTITION, tool_calling_job, weekly_training_job
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.feedback.staleness import stale_weeks
from grpo_pipeline.registry.changes import model_changes
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.weeks import Week

LOOK_EVERY = timedelta(minutes=10)
TRAINING_JOBS = [weekly_training_job, tool_calling_job]
RUNNING = dg.DefaultSensorStatus.RUNNING


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.SUCCESS, monitored_jobs=TRAINING_JOBS, default_status=RUNNING)
def training_alert_sensor(context: dg.RunStatusSensorContext) -> dg.SkipReason:
    """Says that a training is over, and what was decided."""
    settings = load_settings()
    if settings.alerts.url is None:
        return not_set()
    artifacts, week = ArtifactStore(settings.artifacts), context.dagster_run.tags.get(PARTITION)
    minutes = minutes_of(context)
    alerts = training_alerts(artifacts, week, minutes) if week else tool_calling_alerts(artifacts, minutes)
    return summed_up(alerts, undelivered(context, settings, alerts))


@dg.run_failure_sensor(monitored_jobs=TRAINING_JOBS, default_status=RUNNING)
def training_failure_alert_sensor(context: dg.RunFailureSensorContext) -> dg.SkipReason:
    """Says that a training failed, and in which run; the words of the failure stay in the run."""
    settings, run = load_settings(), context.dagster_run
    if settings.alerts.url is None:
        return not_set()
    week = run.tags.get(PARTITION)
    what = f"The training of week {week}" if week else f"{run.job_name}"
    text = f"{what} failed in run {run.run_id[:8]}: its log says why."
    alerts = [Alert("training_failed", text, {"week": week, "run": run.run_id})]
    return summed_up(alerts, undelivered(context, settings, alerts))


@dg.sensor(minimum_interval_seconds=int(LOOK_EVERY.total_seconds()), default_status=RUNNING)
def watch_alert_sensor(
    context: dg.SensorEvaluationContext,
    feedback_store: FeedbackStoreResource,
    artifact_store: ArtifactStoreResource,
) -> dg.SkipReason:
    """Says what was rolled back, which weeks stay out of date, and that the weekly training did not start."""
    settings, now = load_settings(), datetime.now(UTC)
    if settings.alerts.url is None:
        return not_set()
    store, artifacts = feedback_store.open(), artifact_store.open()
    changes = model_changes(store.url)
    stale = [item.week for item in stale_weeks(store, artifacts, settings.complete_weeks(now))]
    rollbacks, memory = rollback_alerts(Memory.of_cursor(context.cursor, changes), changes)
    late, memory = stale_alerts(memory, stale, now, timedelta(hours=settings.alerts.stale_hours))
    missed, memory = missed_alerts(memory, missed_week(context.instance, artifacts, settings, now))
    alerts = [*rollbacks, *late, *missed]
    problems = undelivered(context, settings, alerts)
    if not problems:
        # What did not arrive is said again at the next look, rather twice than never.
        context.update_cursor(memory.as_cursor())
    return summed_up(alerts, problems)


def missed_week(
    instance: dg.DagsterInstance, artifacts: ArtifactStore, settings: Settings, now: datetime
) -> Week | None:
    """The last week whose training should have started by now and did not; None before the first week was made."""
    allowed = timedelta(hours=settings.alerts.late_hours, minutes=MARGIN_MINUTES)
    due = settings.complete_weeks(now - allowed)
    if not due or not artifacts.weeks("grpo_policy") or artifacts.latest("grpo_policy", due[-1].key):
        return None
    week = due[-1]
    runs = dg.RunsFilter(job_name=weekly_training_job.name, tags={PARTITION: week.key})
    return None if instance.get_runs(runs, limit=1) else week


def undelivered(
    context: dg.SensorEvaluationContext | dg.RunStatusSensorContext, settings: Settings, alerts: list[Alert]
) -> list[str]:
    """Send alerts; what went wrong with those that did not arrive, also in the sensor's log."""
    problems = [problem for problem in (send(settings.alerts, alert) for alert in alerts) if problem]
    for problem in problems:
        context.log.warning(problem)
    return problems


def summed_up(alerts: list[Alert], problems: list[str]) -> dg.SkipReason:
    """What a sensor says of the alerts that it sent."""
    return dg.SkipReason(f"{len(alerts) - len(problems)} of {len(alerts)} alerts sent." if alerts else "Nothing new.")


def not_set() -> dg.SkipReason:
    """Why nothing is sent."""
    return dg.SkipReason("GRPO_ALERTS__URL is not set.")


def minutes_of(context: dg.RunStatusSensorContext) -> float:
    """How long the run took."""
    record = context.instance.get_run_record_by_id(context.dagster_run.run_id)
    if record is None or record.start_time is None or record.end_time is None:
        return 0.0
    return (record.end_time - record.start_time) / 60
