"""Champion and challenger as their users judge them, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from grpo_pipeline.monitoring.reasons import reason_of
from grpo_pipeline.monitoring.sample_ratio import SampleRatio, sample_ratio
from grpo_pipeline.monitoring.sequential import Comparison, block_differences, compare
from grpo_pipeline.monitoring.settings import MonitoringSettings
from grpo_pipeline.monitoring.users import verdicts_of_users
from grpo_pipeline.registry.changes import Traffic
from grpo_pipeline.verdict import Verdict


@dataclass(frozen=True)
class Segment:
    """The same comparison among part of the feedback, at an error shared by all segments: shown, never acted on."""

    name: str
    comparison: Comparison


@dataclass(frozen=True)
class Standing:
    """How a challenger stands against the champion.

    Attributes:
        champion: the version in use.
        challenger: the one that is tried beside it.
        since: from when on both answered at once.
        share: the challenger's share of the traffic now.
        comparison: of all their users.
        ratio: whether the users split as they should; None before anyone voted.
        segments: with and without tools, and week by week.
        verdict: `fail` where it is credibly worse, `pass` where it is credibly better.
    """

    champion: str
    challenger: str
    since: datetime
    share: float
    comparison: Comparison
    ratio: SampleRatio | None
    segments: tuple[Segment, ...]
    verdict: Verdict

    def as_manifest(self) -> dict[str, Any]:
        """The standing as plain JSON values."""
        return {**asdict(self), "since": self.since.isoformat()}


def started(history: Sequence[Traffic], challenger: str) -> datetime:
    """Since when a challenger of the latest traffic has been tried beside the same champion without a break."""
    now = history[-1]
    beginning = now.start
    for traffic in reversed(history):
        if traffic.champion != now.champion or challenger not in traffic.shares:
            break
        beginning = traffic.start
    return beginning


def standings(
    judgements: pl.DataFrame, history: Sequence[Traffic], now: datetime, settings: MonitoringSettings
) -> list[Standing]:
    """Every challenger at a moment, each beside the champion; none where nothing is tried.

    Args:
        judgements: as `judged` makes them, from the start of the earliest comparison on.
        history: the traffic until `now`, the earliest first.
        now: the moment of looking.
        settings: what counts as credible.
    """
    if not history or history[-1].champion is None:
        return []
    return [_standing(judgements, history, challenger, now, settings) for challenger in history[-1].shares]


def _standing(
    judgements: pl.DataFrame, history: Sequence[Traffic], challenger: str, now: datetime, settings: MonitoringSettings
) -> Standing:
    champion, since = str(history[-1].champion), started(history, challenger)
    settle = timedelta(hours=settings.settle_hours)
    users = verdicts_of_users(judgements, (champion, challenger), since, now, settle)
    comparison = _compared(users, challenger, settings.error)
    ratio = sample_ratio(users, challenger, history)
    parts = {
        f"{name} tools": verdicts_of_users(rows, (champion, challenger), since, now, settle)
        for name, rows in (
            ("with", judgements.filter("with_tools")),
            ("without", judgements.filter(~pl.col("with_tools"))),
        )
    }
    weeks = users.with_columns(week=pl.col("at").dt.truncate("1w").dt.strftime("%Y-%m-%d"))
    parts |= {f"week {week.item(0, 'week')}": week for week in weeks.partition_by("week", maintain_order=True)}
    shown = {name: part for name, part in parts.items() if part["settled"].any()}
    segments = [Segment(name, _compared(part, challenger, settings.error / len(shown))) for name, part in shown.items()]
    return Standing(
        champion=champion,
        challenger=challenger,
        since=since,
        share=history[-1].shares[challenger],
        comparison=comparison,
        ratio=ratio,
        segments=tuple(segments),
        verdict=_verdict(comparison, ratio, settings),
    )


def _compared(users: pl.DataFrame, challenger: str, error: float) -> Comparison:
    settled = users.filter("settled")
    is_other, success = (settled["model_version"] == challenger).to_numpy(), settled["success"].to_numpy()
    return compare(is_other, success, block_differences(is_other, success), error)


def _verdict(comparison: Comparison, ratio: SampleRatio | None, settings: MonitoringSettings) -> Verdict:
    uneven = ratio is not None and ratio.p_value < settings.ratio_error
    reason = reason_of(comparison, ratio if uneven else None, settings)
    if min(comparison.users) < settings.min_users:
        return Verdict("inconclusive", reason)
    if comparison.is_worse:
        return Verdict("fail", reason)
    # Harm counts whoever it hits; a gain among users who are not comparable is none.
    return Verdict("pass" if comparison.is_better and not uneven else "inconclusive", reason)
