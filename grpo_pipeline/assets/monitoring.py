"""Monitoring: how users judge the versions in use, week by week."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.feedback import agent_feedback
from grpo_pipeline.assets.reporting import Materialization, Published, picture, report, table_of
from grpo_pipeline.assets.weekly import data_asset
from grpo_pipeline.config import load_settings
from grpo_pipeline.monitoring.look import Look, look, rates_of_weeks
from grpo_pipeline.monitoring.tables import standings_table
from grpo_pipeline.partitions import weeks_of
from grpo_pipeline.plots import ab_differences, success_over_time
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.verdict import Status, Verdict
from grpo_pipeline.weeks import Week

RATES_FILE = "rates.parquet"


@data_asset(group_name="monitoring", kinds={"postgres", "polars"}, deps=[agent_feedback])
@fails_clearly
def success_rates(
    context: dg.AssetExecutionContext, feedback_store: FeedbackStoreResource, artifact_store: ArtifactStoreResource
) -> Iterator[Materialization]:
    """How users judged each model version in the week: thumbs, scores and edits, with intervals clustered by person."""
    settings, weeks = load_settings(), weeks_of(context)
    before = settings.monitoring.weeks_shown - 1
    rates = rates_of_weeks(feedback_store.open().url, settings, weeks[0].shift(-before), weeks[-1])
    artifacts = artifact_store.open()
    yield from report(context, [publish_rates(artifacts, week, rates, week.shift(-before)) for week in weeks])


@data_asset(group_name="monitoring", kinds={"postgres", "polars"}, deps=[agent_feedback])
@fails_clearly
def ab_test(
    context: dg.AssetExecutionContext, feedback_store: FeedbackStoreResource, artifact_store: ArtifactStoreResource
) -> Iterator[Materialization]:
    """Challengers beside the champion as the week ended: an always-valid test over users, the split, segments.

    It says what was known then; `ab_test_sensor` looks all the time, and takes out of use what is credibly worse.
    """
    settings, url, artifacts = load_settings(), feedback_store.open().url, artifact_store.open()
    now = datetime.now(UTC)
    found = {week: look(url, settings, min(week.end, now)) for week in weeks_of(context)}
    yield from report(context, [publish_test(artifacts, week, item) for week, item in found.items()])


def publish_rates(artifacts: ArtifactStore, week: Week, rates: pl.DataFrame, first_shown: Week) -> Published:
    """The rates of a week, shown with the plot of the weeks before it."""
    own = rates.filter(pl.col("week") == week.key)
    shown = rates.filter(pl.col("week").is_between(pl.lit(first_shown.key), pl.lit(week.key)))
    counts = {name: int(own[name].sum()) for name in ("feedback", "votes", "edits")}
    with artifacts.draft("success_rates") as draft:
        own.write_parquet(draft / RATES_FILE)
        artifact = artifacts.publish(draft, "success_rates", week.key, {"counts": counts})
    metadata = {"rates": table_of(own), **picture(success_over_time(shown.to_dicts()), "success by version")}
    return Published(artifact, len(own), artifact.path / RATES_FILE, metadata)


def publish_test(artifacts: ArtifactStore, week: Week, found: Look) -> Published:
    """The standing of every challenger as a week ended."""
    manifest: dict[str, Any] = {
        "champion": found.champion,
        "standings": [standing.as_manifest() for standing in found.standings],
        "counts": {"challengers": len(found.standings)},
        "verdict": summed_up(found).as_manifest(),
    }
    with artifacts.draft("ab_test") as draft:
        artifact = artifacts.publish(draft, "ab_test", week.key, manifest)
    table = standings_table(found.standings)
    shown = {"standings": table_of(table), **picture(ab_differences(table.to_dicts()), "difference to the champion")}
    return Published(artifact, metadata=shown if found.standings else {})


def summed_up(found: Look) -> Verdict:
    """The worst verdict of all challengers, with the words of each."""
    if not found.standings:
        return Verdict("skipped", "No challenger was tried.")
    statuses = {standing.verdict.status for standing in found.standings}
    said = " ".join(f"{standing.challenger}: {standing.verdict.reason}" for standing in found.standings)
    worst: Status = "fail" if "fail" in statuses else "inconclusive" if "inconclusive" in statuses else "pass"
    return Verdict(worst, said)
