"""Extraction: a week of each table as Parquet, just as the database holds it."""

from collections.abc import Iterator

import dagster as dg

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.erasure import erase_deleted_samples
from grpo_pipeline.assets.reporting import Materialization, Published, report
from grpo_pipeline.assets.weekly import data_asset
from grpo_pipeline.assets.working import remove_left_drafts
from grpo_pipeline.config import load_settings
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.feedback.tables import TABLES, TableName
from grpo_pipeline.partitions import weeks_of
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource

BARRIER_SECONDS = 60.0


@data_asset(group_name="feedback", kinds={"postgres", "parquet"})
@fails_clearly
def agent_feedback(
    context: dg.AssetExecutionContext, feedback_store: FeedbackStoreResource, artifact_store: ArtifactStoreResource
) -> Iterator[Materialization]:
    """One week of what users said about answers: ratings, thumbs, edits and comments, one row each."""
    store, artifacts = feedback_store.open(), artifact_store.open()
    yield from report(context, extract_weeks(context, store, artifacts, "agent_feedback"))


@data_asset(group_name="feedback", kinds={"postgres", "parquet"})
@fails_clearly
def preference_pairs(
    context: dg.AssetExecutionContext, feedback_store: FeedbackStoreResource, artifact_store: ArtifactStoreResource
) -> Iterator[Materialization]:
    """One week of preference pairs: a prompt, the answer people preferred and the one they did not, one row each.

    What old policies and evaluations keep of rows that were deleted since is removed as well.
    """
    store, artifacts = feedback_store.open(), artifact_store.open()
    remove_left_drafts(artifacts)
    erased = erase_deleted_samples(store, artifacts)
    if erased:
        context.log.info("Removed %d samples of deleted feedback from earlier policies and evaluations.", erased)
    yield from report(context, extract_weeks(context, store, artifacts, "preference_pairs"))


def extract_weeks(
    context: dg.AssetExecutionContext, store: FeedbackStore, artifacts: ArtifactStore, name: TableName
) -> Iterator[Published]:
    """Extract and publish each week of the step; the fingerprint tells later whether the week changed since.

    Raises:
        PipelineError: a week is not complete, or the database cannot be read to the end.
    """
    settings, weeks = load_settings(), weeks_of(context)
    for week in weeks:
        settings.require_complete(week)
    if not store.wait_for_commit_barrier(weeks[-1], BARRIER_SECONDS):
        context.log.warning(
            "A transaction from before the end of the week is still open. Rows it adds later are found by "
            "late_feedback_sensor and by `grpo-pipeline weeks stale`."
        )
    for week in weeks:
        with artifacts.draft(name) as draft:
            table = TABLES[name]
            result = store.extract(name, week, draft / table.file)
            manifest = {"source": {"fingerprint": result.fingerprint}, "counts": {"rows": result.rows}}
            artifact = artifacts.publish(draft, name, week.key, manifest)
        yield Published(artifact, result.rows, artifact.path / table.file, data_version=result.fingerprint)
