"""Reads the pairs that a reviewer looks at, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row, tuple_row

from grpo_pipeline.server.pages.inbox.filters import InboxFilter, Place, conditions
from grpo_pipeline.weeks import Week

PAGE_SIZE = 25
# Only a search over the texts of a large database takes long, and it shall not hold a connection for ever.
SEARCH_TIMEOUT = "set local statement_timeout = '20s'"
SELECT = """
select p.id, p.created_at, p.updated_at, p.source, p.prompt, p.chosen, p.rejected, p.tools, p.model_version, p.user_id,
       p.review_status, p.reviewed_by, p.reviewed_at, f.score
from public.preference_pairs p
left join public.agent_feedback f on f.id = p.feedback_id
"""
NEWEST = "order by p.created_at desc, p.id desc limit %(limit)s"
COUNTS = "select review_status, count(*) from public.preference_pairs group by review_status"
# One look into the index for each version, instead of one for each pair.
MODELS = """
with recursive found as (
  (select model_version from public.preference_pairs where model_version is not null order by 1 limit 1)
  union all
  select (
    select p.model_version from public.preference_pairs p where p.model_version > f.model_version order by 1 limit 1)
  from found f where f.model_version is not null
)
select model_version from found where model_version is not null order by model_version desc limit 200
"""


@dataclass(frozen=True)
class Pair:
    """A pair as the database has it, with the score of its feedback."""

    id: UUID
    created_at: datetime
    updated_at: datetime
    source: str
    prompt: str
    chosen: str
    rejected: str
    tools: list[Any] | None
    model_version: str | None
    user_id: UUID | None
    review_status: str
    reviewed_by: str | None
    reviewed_at: datetime | None
    score: float | None

    @property
    def version(self) -> str:
        """What a decision names, so that it holds for the pair that the reviewer saw and for no other."""
        return self.updated_at.isoformat()

    @property
    def week(self) -> str:
        """The week in which it came in."""
        return Week.containing(self.created_at).key


@dataclass(frozen=True)
class Found:
    """Some pairs, and the place from which the older ones go on; None where these are the last."""

    pairs: Sequence[Pair]
    older: Place | None


async def find_pairs(connection: psycopg.AsyncConnection, wanted: InboxFilter, flagged: Sequence[str] | None) -> Found:
    """The newest pairs that the filters let through."""
    where, values = conditions(wanted, flagged)
    async with connection.transaction(), connection.cursor(row_factory=class_row(Pair)) as cursor:
        await connection.execute(SEARCH_TIMEOUT)
        statement = f"{SELECT} where {where} {NEWEST}"
        rows = await (await cursor.execute(statement.encode(), {**values, "limit": PAGE_SIZE + 1})).fetchall()
    shown = rows[:PAGE_SIZE]
    return Found(shown, Place(shown[-1].created_at, shown[-1].id) if len(rows) > PAGE_SIZE else None)


async def read_pairs(connection: psycopg.AsyncConnection, ids: Sequence[UUID]) -> list[Pair]:
    """The pairs of these ids that there are, newest first."""
    async with connection.cursor(row_factory=class_row(Pair)) as cursor:
        statement = f"{SELECT} where p.id = any(%(ids)s) {NEWEST}"
        return await (await cursor.execute(statement.encode(), {"ids": list(ids), "limit": len(ids)})).fetchall()


async def count_by_status(connection: psycopg.AsyncConnection) -> dict[str, int]:
    """How many pairs there are of each review status."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        return dict(await (await cursor.execute(COUNTS)).fetchall())


async def known_models(connection: psycopg.AsyncConnection) -> list[str]:
    """The model versions that pairs name."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        return [row[0] for row in await (await cursor.execute(MODELS)).fetchall()]
