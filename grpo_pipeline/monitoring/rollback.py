"""What follows where a version in use is credibly worse: it is taken out of use, by name and with the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grpo_pipeline.monitoring.look import Look
from grpo_pipeline.monitoring.settings import MonitoringSettings
from grpo_pipeline.registry.registry import ModelRegistry, NothingToRollBackError
from grpo_pipeline.registry.traffic import set_share

WHO = "ab_test"


@dataclass(frozen=True)
class Action:
    """A version that was taken out of use, and why."""

    version: str
    reason: str


def take_out_the_worse(url: str, found: Look, settings: MonitoringSettings) -> Sequence[Action]:
    """End the share of every challenger that is credibly worse; roll a fresh champion back where that is switched on.

    Doing it again changes nothing: a version without a share is no challenger, and a champion that was brought back is
    not fresh. The history keeps both as done by `ab_test`.

    Raises:
        PipelineError: the database cannot be changed.
    """
    done = []
    if settings.rollback_challenger:
        for standing in found.standings:
            if standing.verdict.status == "fail":
                set_share(url, standing.challenger, 0, WHO, standing.verdict.reason)
                done.append(Action(standing.challenger, standing.verdict.reason))
    fresh = found.fresh
    if settings.rollback_champion and fresh and fresh.verdict.status == "fail":
        try:
            ModelRegistry(url).rollback(WHO, fresh.verdict.reason, of=fresh.champion)
        except NothingToRollBackError:
            # Somebody was faster: another version is in use by now.
            return done
        done.append(Action(fresh.champion, fresh.verdict.reason))
    return done
