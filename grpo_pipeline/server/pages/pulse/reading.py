"""What the pulse page shows, read with the functions of the weekly assets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.waiting_pairs import waiting_pairs
from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.monitoring.look import Look, look, rates_of_weeks
from grpo_pipeline.monitoring.tables import standings_table
from grpo_pipeline.plots import ab_differences, feedback_volume, success_over_time
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.weeks import Week, weeks_between


@dataclass(frozen=True)
class Volume:
    """The feedback of one week."""

    week: str
    feedback: int
    votes: int
    edits: int


@dataclass(frozen=True)
class Pulse:
    """How users judge the versions in use, as known at a moment.

    Attributes:
        look: the tests that run.
        rates: success by week and version.
        volume: the feedback of every week shown, the earliest first.
        waiting: the new pairs of the complete weeks, such as "73 of 100"; None where they cannot be counted.
        not_counted: why.
        coming: pairs of the week that is not over.
        success_plot, volume_plot, test_plots: PNGs, the last by challenger; None where there is nothing to draw.
    """

    look: Look
    rates: pl.DataFrame
    volume: Sequence[Volume]
    waiting: str | None
    not_counted: str | None
    coming: int
    success_plot: bytes | None
    volume_plot: bytes | None
    test_plots: dict[str, bytes | None]


def read_pulse(settings: Settings, url: str) -> Pulse:
    """The pulse now.

    Raises:
        PipelineError: the database cannot be read.
    """
    now = datetime.now(UTC)
    store, complete, current = FeedbackStore(url), settings.complete_weeks(now), Week.containing(now)
    first = current.shift(1 - settings.monitoring.weeks_shown)
    rates, found = rates_of_weeks(url, settings, first, current), look(url, settings, now)
    waiting, not_counted = _waiting(settings, url, complete)
    volume = [volume_of(rates, week) for week in weeks_between(first, current)]
    after = complete[-1].shift(1) if complete else current
    return Pulse(
        look=found,
        rates=rates,
        volume=volume,
        waiting=waiting,
        not_counted=not_counted,
        coming=sum(store.count_pairs(after, current).values()),
        success_plot=success_over_time(rates.to_dicts()),
        volume_plot=feedback_volume([vars(item) for item in volume]),
        test_plots={
            standing.challenger: ab_differences(standings_table([standing]).to_dicts()) for standing in found.standings
        },
    )


def volume_of(rates: pl.DataFrame, week: Week) -> Volume:
    """The feedback of a week on all versions together."""
    own = rates.filter(pl.col("week") == week.key)
    return Volume(week.key, *(int(own[name].sum()) for name in ("feedback", "votes", "edits")))


def _waiting(settings: Settings, url: str, complete: Sequence[Week]) -> tuple[str | None, str | None]:
    """The count, or why there is none."""
    if not complete:
        return None, "No week is complete yet."
    artifacts, registry = ArtifactStore(settings.artifacts), ModelRegistry(url)
    try:
        found = waiting_pairs(FeedbackStore(url), artifacts, registry, complete[-1], settings)
    except PipelineError as error:
        # What the last training used is not in the store: no reason to hide how users judge its policy.
        return None, str(error)
    return f"{found.count} of {found.minimum}", None
