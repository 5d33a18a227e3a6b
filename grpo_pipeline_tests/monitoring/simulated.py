"""Simulated users: each has a taste of his own, votes several times, and gets one version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.monitoring.judgements import SCHEMA, judged
from grpo_pipeline.registry.changes import Traffic

START = datetime(2026, 11, 2, tzinfo=UTC)
CHAMPION, CHALLENGER = "2026-10-26-aaaa1111", "2026-11-02-bbbb2222"


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def traffic(start: datetime = START, share: float = 0.0) -> Traffic:
    """The champion in use since a week before the start, and the challenger with a share."""
    return Traffic(start, CHAMPION, START - timedelta(days=7), None, {CHALLENGER: share} if share else {})


def votes(
    random: np.random.Generator,
    users: int,
    success: Mapping[str, float],
    share: float = 0.5,
    *,
    days: float = 28,
    start: datetime = START,
    most: int = 6,
) -> pl.DataFrame:
    """Judgements of users who come evenly over the days: up with a probability around their version's.

    A user's taste moves his probability by up to a quarter either way, so that his votes resemble each other; he votes
    up to `most` times within the hours after his first vote and once more days later.
    """
    rows = []
    for number in range(users):
        version = CHALLENGER if random.random() < share else CHAMPION
        chance = float(np.clip(success[version] + random.uniform(-0.25, 0.25), 0, 1))
        first = random.uniform(0, days)
        moments = [first, *(first + random.uniform(0, 0.5, random.integers(0, most))), first + random.uniform(2, 9)]
        for moment in moments:
            kind = "thumbs_up" if random.random() < chance else "thumbs_down"
            when = start + timedelta(days=float(moment))
            rows.append((when, f"person {number}", version, kind, None, bool(random.random() < 0.3)))
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("created_at")
    return judged(frame, CurationSettings())
