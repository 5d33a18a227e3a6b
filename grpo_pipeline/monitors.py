"""What watches the versions in use: the weekly monitoring job, and the sensor that takes out what is credibly worse.

The sensor and not the weekly asset acts: the test may be looked at any time, so harm ends within minutes of the
evidence instead of at the end of the week, and a rerun or backfill of an old week never changes what is in use today.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from grpo_pipeline.alerts.alert import Alert
from grpo_pipeline.alerts.settings import AlertSettings
from grpo_pipeline.alerts.webhook import send
from grpo_pipeline.assets.monitoring import ab_test, success_rates
from grpo_pipeline.automation import weekly_cron
from grpo_pipeline.config import load_settings
from grpo_pipeline.monitoring.ab_test import Standing
from grpo_pipeline.monitoring.look import look
from grpo_pipeline.monitoring.rollback import take_out_the_worse
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.weeks import Week, last_complete_week

LOOK_EVERY = timedelta(minutes=10)
# The running tests are few; more names than this in the cursor are of tests long over.
MOST_REMEMBERED = 50

monitoring_job = dg.define_asset_job(
    "monitoring_job",
    selection=[success_rates, ab_test],
    description="How users judged the versions in use in a week; reads feedback, trains nothing and waits for nothing.",
)


@dg.schedule(
    cron_schedule=weekly_cron(load_settings().grace),
    execution_timezone="UTC",
    job=monitoring_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def monitoring_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Looks at the week that ended on Monday, in a run of its own beside the training."""
    settings = load_settings()
    week = last_complete_week(context.scheduled_execution_time, settings.grace)
    if week < Week(settings.first_week):
        return dg.SkipReason(f"No week is complete yet; the first one is {settings.first_week}.")
    return dg.RunRequest(run_key=f"monitoring:{week.key}", partition_key=week.key)


@dg.sensor(minimum_interval_seconds=int(LOOK_EVERY.total_seconds()), default_status=dg.DefaultSensorStatus.RUNNING)
def ab_test_sensor(context: dg.SensorEvaluationContext, feedback_store: FeedbackStoreResource) -> dg.SkipReason:
    """Takes a challenger that is credibly worse out of use (a fresh champion too, where switched on), and says so."""
    settings, url = load_settings(), feedback_store.open().url
    found = look(url, settings, datetime.now(UTC))
    for action in take_out_the_worse(url, found, settings.monitoring):
        context.log.warning("%s was taken out of use: %s", action.version, action.reason)
    context.update_cursor(told(settings.alerts, found.standings, context.cursor))
    if not found.standings and found.fresh is None:
        return dg.SkipReason("No challenger is tried, and no champion is fresh.")
    said = [f"{item.challenger}: {item.verdict.reason}" for item in found.standings]
    if found.fresh:
        said.append(f"{found.fresh.champion} after {found.fresh.previous}: {found.fresh.verdict.reason}")
    return dg.SkipReason(" ".join(said))


def told(settings: AlertSettings, standings: Sequence[Standing], cursor: str | None) -> str:
    """Send an alert for each test that is newly decided; the tests that were told, for the cursor."""
    known: list[str] = json.loads(cursor) if cursor else []
    for standing in standings:
        status = standing.verdict.status
        name = f"{standing.challenger}@{standing.since.isoformat()}:{status}"
        if status not in ("pass", "fail") or name in known:
            continue
        text = f"A/B test of {standing.challenger} against {standing.champion}: {standing.verdict.reason}"
        facts = {"version": standing.challenger, "champion": standing.champion, "verdict": status}
        # What did not arrive is said again at the next look.
        if send(settings, Alert("verdict", text, facts)) is None:
            known.append(name)
    return json.dumps(known[-MOST_REMEMBERED:])
