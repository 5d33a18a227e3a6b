"""A fresh champion as its users judge it beside the one it replaced.

Nobody drew lots here: what changed with the weeks is counted as the champion's doing. So it is off by default, and
each user who judged both is compared with himself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from grpo_pipeline.monitoring.reasons import reason_of
from grpo_pipeline.monitoring.sequential import Comparison, Floats, compare
from grpo_pipeline.monitoring.settings import MonitoringSettings
from grpo_pipeline.monitoring.users import verdicts_of_users
from grpo_pipeline.registry.changes import Traffic
from grpo_pipeline.verdict import Verdict


@dataclass(frozen=True)
class FreshChampion:
    """How a champion stands against the one it replaced; the verdict is `fail` where it is credibly worse."""

    champion: str
    previous: str
    since: datetime
    comparison: Comparison
    verdict: Verdict


def fresh_champion(
    judgements: pl.DataFrame, history: Sequence[Traffic], now: datetime, settings: MonitoringSettings
) -> FreshChampion | None:
    """The champion beside the one before it; None where it is not fresh, was brought back, or is the first.

    Args:
        judgements: as `judged` makes them, from `fresh_weeks` before the champion's promotion on.
        history: the traffic until `now`, the earliest first.
        now: the moment of looking.
        settings: how long a champion is fresh, and what counts as credible.
    """
    traffic = history[-1] if history else None
    if traffic is None or traffic.champion is None or traffic.champion_since is None or traffic.previous is None:
        return None
    fresh, since = timedelta(weeks=settings.fresh_weeks), traffic.champion_since
    if now - since > fresh:
        return None
    settle = timedelta(hours=settings.settle_hours)
    new = verdicts_of_users(judgements, [traffic.champion], since, now, settle).filter("settled")
    old = verdicts_of_users(judgements, [traffic.previous], since - fresh, since, fresh)
    success = np.concatenate([old["success"].to_numpy(), new["success"].to_numpy()])
    is_other = np.arange(len(success)) >= len(old)
    comparison = compare(is_other, success, matched_differences(old, new), settings.error)
    decided = min(comparison.users) >= settings.min_users
    verdict = Verdict(
        "fail" if decided and comparison.is_worse else "pass" if decided and comparison.is_better else "inconclusive",
        reason_of(comparison, None, settings),
    )
    return FreshChampion(traffic.champion, traffic.previous, since, comparison, verdict)


def matched_differences(old: pl.DataFrame, new: pl.DataFrame) -> Floats:
    """New less old success of each new user: his own where he judged both, else of the next old user left.

    Args:
        old: person and success by the earlier version's users.
        new: the same of the later version's, in the order in which they came; the differences keep it.
    """
    own, stayed = dict(zip(old["person"], old["success"], strict=True)), set(new["person"])
    # The latest first, as they are nearest in time.
    others = [own[person] for person in old["person"] if person not in stayed][::-1]
    found = []
    for person, success in zip(new["person"], new["success"], strict=True):
        if person in own:
            found.append(success - own[person])
        elif others:
            found.append(success - others.pop(0))
    return np.asarray(found, dtype=np.float64)
