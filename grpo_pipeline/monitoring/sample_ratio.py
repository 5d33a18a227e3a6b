"""Whether as many users judged each version as the shares of the traffic let expect.

Where not, users are not assigned as they should be, or one version makes more of them speak up: either way its users
are other people than the champion's, and better marks prove nothing. Fabijan et al. 2019, "Diagnosing Sample Ratio
Mismatch in Online Controlled Experiments" (https://doi.org/10.1145/3292500.3330722).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from grpo_pipeline.registry.changes import Traffic, traffic_at


@dataclass(frozen=True)
class SampleRatio:
    """How the users split, and how probable a split as uneven as that is (chi-square, one degree of freedom)."""

    users: int
    expected: float
    observed: float
    p_value: float


def sample_ratio(users: pl.DataFrame, challenger: str, history: Sequence[Traffic]) -> SampleRatio | None:
    """The challenger's share of the users beside the one that was set when each of them voted first.

    With one share throughout this is Pearson's chi-square; with several, expectation and variance are summed over
    the users, so that a share changed on the way is no mismatch.

    Args:
        users: as `verdicts_of_users` makes them, settled or not.
        challenger: the version whose share it is about; the others are the champion's users.
        history: the traffic, the earliest first.

    Returns:
        None where no user says anything about it.
    """
    shares = [_share(traffic_at(history, moment), challenger) for moment in users["at"]]
    variance = sum(share * (1 - share) for share in shares)
    if variance == 0:
        return None
    seen, expected = int((users["model_version"] == challenger).sum()), sum(shares)
    statistic = (seen - expected) ** 2 / variance
    count = len(shares)
    return SampleRatio(count, expected / count, seen / count, math.erfc(math.sqrt(statistic / 2)))


def _share(traffic: Traffic | None, challenger: str) -> float:
    """The challenger's part of what it and the champion get."""
    if traffic is None or challenger not in traffic.shares:
        return 0.0
    share = traffic.shares[challenger]
    return share / (share + traffic.champion_share)
