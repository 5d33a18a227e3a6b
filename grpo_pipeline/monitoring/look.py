"""One look at the versions in use: what the weekly assets, the sensor and the page show, from the same functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from grpo_pipeline.config import Settings
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.monitoring.ab_test import Standing, standings, started
from grpo_pipeline.monitoring.fresh_champion import FreshChampion, fresh_champion
from grpo_pipeline.monitoring.judgements import judged
from grpo_pipeline.monitoring.success import success_rates
from grpo_pipeline.registry.changes import Traffic, model_changes, traffic_history
from grpo_pipeline.weeks import Week


@dataclass(frozen=True)
class Look:
    """How the versions in use stood at a moment."""

    moment: datetime
    champion: str | None
    standings: Sequence[Standing]
    fresh: FreshChampion | None


def look(url: str, settings: Settings, moment: datetime) -> Look:
    """The challengers beside the champion, and a fresh champion beside the one before it, as known at a moment.

    Raises:
        PipelineError: the database cannot be read.
    """
    changes = [change for change in model_changes(url) if change.changed_at < moment]
    history, monitoring = traffic_history(changes), settings.monitoring
    start = _start(history, moment, monitoring.fresh_weeks)
    if start is None:
        return Look(moment, history[-1].champion if history else None, (), None)
    rows = judged(FeedbackStore(url).judgements(start, moment), settings.curation)
    return Look(
        moment,
        history[-1].champion,
        standings(rows, history, moment, monitoring),
        fresh_champion(rows, history, moment, monitoring),
    )


def rates_of_weeks(url: str, settings: Settings, first: Week, last: Week) -> pl.DataFrame:
    """The success rates of every version in the weeks from `first` to `last`, both included.

    Raises:
        PipelineError: the database cannot be read.
    """
    return success_rates(judged(FeedbackStore(url).judgements(first.start, last.end), settings.curation))


def _start(history: Sequence[Traffic], moment: datetime, fresh_weeks: int) -> datetime | None:
    """From when on votes are needed; None where nothing is compared."""
    traffic = history[-1] if history else None
    if traffic is None or traffic.champion is None or traffic.champion_since is None:
        return None
    starts = [started(history, challenger) for challenger in traffic.shares]
    fresh = timedelta(weeks=fresh_weeks)
    if traffic.previous and moment - traffic.champion_since <= fresh:
        starts.append(traffic.champion_since - fresh)
    return min(starts, default=None)
