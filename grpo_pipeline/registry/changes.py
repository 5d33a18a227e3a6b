"""What was changed about the models in use, and which traffic that made at every moment of the past."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from grpo_pipeline.postgres.connection import transaction

SELECT = """
select id, changed_at, version, change, share, status, changed_by, reason
from public.model_changes order by id
"""
SAY_WHO = "select set_config('grpo.changed_by', %s, true), set_config('grpo.reason', %s, true)"


@dataclass(frozen=True)
class ModelChange:
    """One version got another share of the traffic, or another status."""

    id: int
    changed_at: datetime
    version: str
    change: Literal["share", "status"]
    share: float | None
    status: str | None
    changed_by: str
    reason: str | None


@dataclass(frozen=True)
class Traffic:
    """Which versions answered from a moment on, until the next one in a history.

    Attributes:
        start: when it began.
        champion: the version in use; None before the first promotion.
        champion_since: since when it is; None with it.
        previous: the champion before it, None where there was none or a rollback brought this one back.
        shares: of each challenger.
    """

    start: datetime
    champion: str | None
    champion_since: datetime | None
    previous: str | None
    shares: Mapping[str, float]

    @property
    def champion_share(self) -> float:
        """What the challengers leave to the champion."""
        return 1.0 - sum(self.shares.values())


def say_who(connection: psycopg.Connection[Any], by: str, reason: str | None = None) -> None:
    """Name who makes the changes of this transaction, and why, for the history."""
    connection.execute(SAY_WHO, (by, reason or ""))


def model_changes(url: str) -> list[ModelChange]:
    """Every change, the earliest first."""
    with transaction(url) as connection, connection.cursor(row_factory=class_row(ModelChange)) as cursor:
        return cursor.execute(SELECT).fetchall()


def traffic_history(changes: Iterable[ModelChange]) -> list[Traffic]:
    """The traffic after each change, the earliest first."""
    shares: dict[str, float] = {}
    statuses: dict[str, str] = {}
    champion: str | None = None
    since: datetime | None = None
    previous: str | None = None
    found = []
    for item in changes:
        if item.share is not None:
            shares[item.version] = item.share
        elif item.status == "champion":
            replaced = champion if champion and statuses.get(champion) == "retired" else None
            champion, since, previous = item.version, item.changed_at, replaced
        if item.status:
            statuses[item.version] = item.status
        asked = {
            version: share
            for version, share in shares.items()
            if share > 0 and version != champion and statuses.get(version) != "rejected"
        }
        found.append(Traffic(item.changed_at, champion, since, previous, asked))
    return found


def traffic_at(history: Sequence[Traffic], moment: datetime) -> Traffic | None:
    """The traffic at a moment; None before anything was in use."""
    place = bisect_right(history, moment, key=lambda traffic: traffic.start)
    return history[place - 1] if place else None
