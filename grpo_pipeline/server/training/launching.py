"""Whether a week may be trained, and what to launch for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.waiting_pairs import waiting_pairs
from grpo_pipeline.automation import PARTITION, decision_on, refreshed_range, week_tags
from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.staleness import stale_weeks
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.sign_offs import SignOffs
from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.training.settings import ProfileName
from grpo_pipeline.weeks import Week

WEEKLY, DATA, TOOL_CALLING = "weekly_training_job", "data_job", "tool_calling_job"


@dataclass(frozen=True)
class Plan:
    """A run to launch.

    Attributes:
        job: the job's name.
        tags: what the run is about; no other with the same may be in flight.
        config: settings of this run alone.
        message: what it does, in words.
        new_pairs: how many new pairs wait; None where it is not about feedback.
    """

    job: str
    tags: Mapping[str, str]
    config: Mapping[str, Any]
    message: str
    new_pairs: int | None


def week_asked_for(settings: Settings, key: str | None) -> Week:
    """The week asked for, or the last complete one.

    Raises:
        ApiError: there is no such week, or it is not over.
    """
    weeks = settings.complete_weeks()
    if key is None and not weeks:
        raise ApiError(409, f"No week is complete yet: the first one starts on {settings.first_week}.")
    try:
        return settings.require_complete(Week(key)) if key else weeks[-1]
    except PipelineError as error:
        raise ApiError(422, str(error)) from error


def plan_training(settings: Settings, url: str, week: Week, profile: ProfileName | None, *, force: bool) -> Plan:
    """What to launch to train a week: earlier weeks that changed come first, as its dataset is made from them too.

    Args:
        settings: the project's settings.
        url: the feedback database.
        week: a complete week.
        profile: another hardware profile than the project's.
        force: also with too few new pairs, and again where it was decided on.

    Raises:
        ApiError: too few new pairs wait, or this very data was decided on already.
    """
    store, artifacts, registry = FeedbackStore(url), ArtifactStore(settings.artifacts), ModelRegistry(url)
    waiting = waiting_pairs(store, artifacts, registry, week, settings)
    stale = [item.week for item in stale_weeks(store, artifacts, [*_up_to(settings, week)])]
    decided = None if stale else decision_on(artifacts, week, SignOffs(url).last(week))
    if decided and not force:
        raise ApiError(409, f"Week {week.key} was decided on with the data as it is: {decided}. Force asks again.")
    if not waiting.enough and not force:
        raise ApiError(409, f"{waiting} up to week {week.key}. Send force to train on them all the same.")
    earlier = [item for item in stale if item < week]
    if earlier:
        first, last = refreshed_range(artifacts, earlier)
        count = f"{len(earlier)} earlier week{'s' if len(earlier) > 1 else ''}"
        message = f"{count} changed and are brought up to date first: ask again when this run is over."
        return Plan(DATA, week_tags(first, last), {}, message, waiting.count)
    config: dict[str, Any] = {"grpo_policy": {"config": {"profile": profile}}} if profile else {}
    if force:
        config["preference_dataset"] = {"config": {"min_new_pairs": 1}}
    message = f"Week {week.key} is extracted, curated, trained, evaluated, and promoted on evidence."
    return Plan(WEEKLY, {PARTITION: week.key}, {"ops": config} if config else {}, message, waiting.count)


def _up_to(settings: Settings, week: Week) -> list[Week]:
    return [known for known in settings.complete_weeks() if known <= week]
