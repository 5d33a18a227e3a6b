"""What starts runs: the weekly job with its schedule, and the sensors that watch the database."""

import math
import warnings
from datetime import datetime, timedelta

import dagster as dg

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.curation import curated_pairs
from grpo_pipeline.assets.dataset import preference_dataset
from grpo_pipeline.assets.evaluation import policy_evaluation
from grpo_pipeline.assets.feedback import agent_feedback, preference_pairs
from grpo_pipeline.assets.promotion import champion
from grpo_pipeline.assets.reward_model import reward_model
from grpo_pipeline.assets.tool_calling import tool_call_scenarios, tool_calling_evaluation, tool_calling_policy
from grpo_pipeline.assets.training import grpo_policy
from grpo_pipeline.assets.waiting_pairs import data_version, waiting_pairs
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.feedback.staleness import stale_weeks
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.registry.sign_offs import SignOff
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.weeks import Week, last_complete_week

DATA_ASSETS = [agent_feedback, preference_pairs, curated_pairs, preference_dataset]
MODEL_ASSETS = [reward_model, grpo_policy, policy_evaluation, champion]
# From here on the week may be read, and a clock that is a little off does no harm.
MARGIN_MINUTES = 15
CHECK_EVERY = timedelta(minutes=10)
PARTITION, FIRST, LAST = (
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

# Dagster says on every start that a backfill of this job is one week a run, which is what its models ask for.
warnings.filterwarnings("ignore", message="Asset job weekly_training_job materializes assets with varying")

weekly_training_job = dg.define_asset_job(
    "weekly_training_job",
    selection=[*DATA_ASSETS, *MODEL_ASSETS],
    description="One week from the database to a verdict: extract, curate, build, train, evaluate, promote or refuse.",
)
data_job = dg.define_asset_job(
    "data_job",
    selection=DATA_ASSETS,
    description="One week, or many in one run, from the database to the preference dataset; trains nothing.",
)

TOOL_CALLING_ASSETS = [tool_call_scenarios, tool_calling_policy, tool_calling_evaluation]
tool_calling_job = dg.define_asset_job(
    "tool_calling_job",
    selection=TOOL_CALLING_ASSETS,
    description="The verifiable track: make scenarios, train on them, measure what the warm start and GRPO taught.",
)


def weekly_cron(grace: timedelta) -> str:
    """The cron line, in UTC, of the moment at which the week that ended on Monday may be read."""
    hours = math.ceil(grace / timedelta(hours=1))
    day = (1 + hours // 24) % 7
    return f"{MARGIN_MINUTES} {hours % 24} * * {day}"


@dg.schedule(cron_schedule=weekly_cron(load_settings().grace), execution_timezone="UTC", job=weekly_training_job)
def weekly_training_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Trains the week that ended on Monday, once late rows had their time to come in."""
    settings = load_settings()
    week = last_complete_week(context.scheduled_execution_time, settings.grace)
    if week < Week(settings.first_week):
        return dg.SkipReason(f"No week is complete yet; the first one is {settings.first_week}.")
    busy = run_in_flight(context.instance, week)
    if busy:
        return dg.SkipReason(f"Week {week.key} is in run {busy} already.")
    return dg.RunRequest(run_key=week.key, partition_key=week.key)


@dg.sensor(
    jobs=[weekly_training_job, data_job],
    minimum_interval_seconds=int(CHECK_EVERY.total_seconds()),
)
def enough_pairs_sensor(
    context: dg.SensorEvaluationContext,
    feedback_store: FeedbackStoreResource,
    artifact_store: ArtifactStoreResource,
    model_registry: ModelRegistryResource,
) -> dg.RunRequest | dg.SkipReason:
    """Trains the last complete week once enough new pairs wait, unless that data was decided on already."""
    settings = load_settings()
    weeks = settings.complete_weeks()
    if not weeks:
        return dg.SkipReason(f"No week is complete yet; the first one is {settings.first_week}.")
    week = weeks[-1]
    busy = run_in_flight(context.instance)
    if busy:
        return dg.SkipReason(f"Run {busy} is at work.")
    store, artifacts = feedback_store.open(), artifact_store.open()
    waiting = waiting_pairs(store, artifacts, model_registry.open(), week, settings)
    if not waiting.enough:
        return dg.SkipReason(str(waiting))
    stale = [item.week for item in stale_weeks(store, artifacts, weeks)]
    if any(earlier < week for earlier in stale):
        return refresh(store, artifacts, settings, [earlier for earlier in stale if earlier < week])
    signed = model_registry.sign_offs().last(week)
    decided = None if stale else decision_on(artifacts, week, signed)
    if decided:
        return dg.SkipReason(f"{waiting}, decided on already: {decided}")
    return dg.RunRequest(
        # A sign-off lets the same data train that waited for it.
        run_key=f"{week.key}:{waiting.data_version}" + (f":{signed.dataset_hash}" if signed else ""),
        job_name=weekly_training_job.name,
        partition_key=week.key,
        tags={"grpo/new_pairs": str(waiting.count)},
    )


@dg.sensor(job=data_job, minimum_interval_seconds=int(CHECK_EVERY.total_seconds()))
def late_feedback_sensor(
    context: dg.SensorEvaluationContext,
    feedback_store: FeedbackStoreResource,
    artifact_store: ArtifactStoreResource,
) -> dg.RunRequest | dg.SkipReason:
    """Extracts again the weeks whose rows came late, changed or were deleted, and rebuilds what was made from them."""
    settings = load_settings()
    store, artifacts = feedback_store.open(), artifact_store.open()
    stale = [item.week for item in stale_weeks(store, artifacts, settings.complete_weeks())]
    if not stale:
        return dg.SkipReason("Every week is as the database has it.")
    busy = run_in_flight(context.instance)
    if busy:
        return dg.SkipReason(f"{len(stale)} weeks changed; run {busy} is at work.")
    return refresh(store, artifacts, settings, stale)


def refresh(store: FeedbackStore, artifacts: ArtifactStore, settings: Settings, stale: list[Week]) -> dg.RunRequest:
    """One run over the stale weeks and all later ones that were made from them."""
    first, last = refreshed_range(artifacts, stale)
    version = data_version(store.fingerprints(first, last))
    return dg.RunRequest(
        run_key=f"refresh:{first.key}:{last.key}:{version}",
        job_name=data_job.name,
        tags={**week_tags(first, last), "grpo/stale_weeks": str(len(stale))},
    )


def week_tags(first: Week, last: Week) -> dict[str, str]:
    """The run tags of one week, or of a range of weeks in one run."""
    return {PARTITION: first.key} if first == last else {FIRST: first.key, LAST: last.key}


def refreshed_range(artifacts: ArtifactStore, stale: list[Week]) -> tuple[Week, Week]:
    """The first stale week, and the last one that is stale or was made from an earlier one."""
    made = [Week(key) for key in artifacts.weeks("curated_pairs")]
    return min(stale), max([*stale, *made])


def decision_on(artifacts: ArtifactStore, week: Week, signed: SignOff | None) -> str | None:
    """What was decided about the week's data as it is now; None where nothing was, or it was signed off since."""
    dataset, policy = artifacts.latest("preference_dataset", week.key), artifacts.latest("grpo_policy", week.key)
    if dataset is None or policy is None:
        return None
    if policy.manifest["inputs"]["preference_dataset"][week.key] != dataset.hash:
        return None
    if signed and not policy.manifest["trained"] and signed.covers(dataset.manifest["dataset_hash"]):
        decided_at = datetime.fromisoformat(policy.manifest["published_at"])
        if signed.signed_at > decided_at:
            return None
    return str(policy.manifest["verdict"]["reason"])


def run_in_flight(instance: dg.DagsterInstance, week: Week | None = None) -> str | None:
    """The start of the id of a run that is not over: of a week, or of any."""
    tags = {PARTITION: week.key} if week else {}
    found = instance.get_runs(dg.RunsFilter(statuses=IN_FLIGHT, tags=tags), limit=1)
    return found[0].run_id[:8] if found else None
