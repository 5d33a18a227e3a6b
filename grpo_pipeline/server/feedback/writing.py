"""Writes posted feedback: many posts in one statement and one commit, each answered for itself.

While one batch is written the next one gathers, so that batches grow with the load and a lone post waits for nobody.
Measured on two shared cores: one commit a post and one commit a batch are compared by the benchmark `feedback_posts`.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import psycopg

from grpo_pipeline.server.feedback.identity import Row
from grpo_pipeline.server.feedback.schema import Outcome
from grpo_pipeline.server.pool import Pool
from grpo_pipeline.server.problems import ApiError

MOST_IN_A_BATCH = 256
# More than this many waiting means that the database does not keep up: better to say so than to answer late.
MOST_WAITING = 4096
WRITE_SECONDS = 10.0

ADD_USERS: LiteralString = """
newcomers as (
  insert into auth.users (id) select distinct user_id from posted where user_id is not null on conflict do nothing
),"""
# Sorted, so that two servers which write the same rows take their locks in the same order.
WRITE: LiteralString = """
with posted as (
  select * from json_to_recordset(%s::json) as p (
    position int, id uuid, user_id uuid, scope text, key text, session_id text, feedback_type text, prompt text,
    response text, corrections text, score double precision, model_version text, tools jsonb, metadata jsonb)
), {add_users}
claimed as (
  insert into private.feedback_requests (scope, key, feedback_id)
  select scope, key, id from posted where key is not null order by scope, key
  on conflict do nothing
  returning scope, key
), written as (
  insert into public.agent_feedback as f
    (id, user_id, session_id, feedback_type, prompt, response, corrections, score, model_version, tools, metadata)
  select id, user_id, session_id, feedback_type, prompt, response, corrections, score, model_version, tools, metadata
  from posted p
  where p.key is null or exists (select from claimed c where c.scope = p.scope and c.key = p.key)
  order by id
  on conflict (id) do update
    set feedback_type = excluded.feedback_type, corrections = excluded.corrections, score = excluded.score,
        session_id = excluded.session_id, tools = excluded.tools, metadata = excluded.metadata
    where (f.feedback_type, f.corrections, f.score, f.tools, f.metadata)
      is distinct from (excluded.feedback_type, excluded.corrections, excluded.score, excluded.tools, excluded.metadata)
  returning id, xmax = 0 as is_new
)
select p.position, w.is_new, coalesce(r.feedback_id, p.id)
from posted p
left join written w on w.id = p.id
left join private.feedback_requests r on r.scope = p.scope and r.key = p.key
"""
OUTCOMES: dict[bool | None, Outcome] = {True: "recorded", False: "replaced", None: "repeated"}
REFUSALS = {
    "agent_feedback_user_id_fkey": "There is no such user in the database.",
    "agent_feedback_metadata_shape": "The metadata are too large.",
    "agent_feedback_tools_shape": "The tools are too large.",
}


@dataclass(frozen=True)
class Written:
    """What became of a post: the id under which it is known, and whether it changed anything."""

    id: UUID
    outcome: Outcome


class FeedbackWriter:
    """Takes posts from any number of requests and writes them in batches, one after the other.

    Args:
        pool: for rehearsals.
        writing: one connection that need not be checked, as a batch on a dead one is written again.
        add_users: whether users that the database does not know are added to it.
        most_in_a_batch: most posts in one statement.
    """

    def __init__(self, pool: Pool, writing: Pool, *, add_users: bool, most_in_a_batch: int = MOST_IN_A_BATCH) -> None:
        self._pool = pool
        self._writing = writing
        self._statement = WRITE.format(add_users=ADD_USERS if add_users else "")
        self._most = most_in_a_batch
        self._waiting: deque[tuple[Row, asyncio.Future[Written]]] = deque()
        self._arrived = asyncio.Event()

    async def write(self, row: Row) -> Written:
        """Write one post; when this returns it is committed.

        Raises:
            ApiError: the database refuses it, or cannot keep up.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise ApiError(503, "Too much feedback waits to be written; try again.", {"Retry-After": "2"})
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, answer))
        self._arrived.set()
        return await answer

    async def rehearse(self, row: Row) -> Written:
        """What writing a post would do, with nothing of it kept.

        Raises:
            ApiError: the database refuses it.
        """
        try:
            async with self._pool.connection() as connection, connection.transaction(force_rollback=True):
                return (await self._execute(connection, [row]))[0]
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise refusal(error) from error

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write what arrives until the end of the block."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            batch = self._take()
            if not self._waiting:
                self._arrived.clear()
            await self._answer(batch)

    def _take(self) -> list[tuple[Row, asyncio.Future[Written]]]:
        """The next batch: no row or key twice, as one statement can write a row only once, and nobody overtaken."""
        taken: list[tuple[Row, asyncio.Future[Written]]] = []
        ids, keys = set[UUID](), set[tuple[str, str]]()
        while self._waiting and len(taken) < self._most:
            row, _ = self._waiting[0]
            if row.id in ids or (row.key and (row.scope, row.key) in keys):
                break
            taken.append(self._waiting.popleft())
            ids.add(row.id)
            if row.key:
                keys.add((row.scope, row.key))
        return taken

    async def _answer(self, batch: Sequence[tuple[Row, asyncio.Future[Written]]]) -> None:
        try:
            written = await self._write([row for row, _ in batch])
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            if len(batch) > 1:
                # One of them is at fault; the others shall not suffer for it.
                for one in batch:
                    await self._answer([one])
                return
            _fail(batch, refusal(error))
        except Exception as error:
            _fail(batch, error)
        else:
            for (_, answer), result in zip(batch, written, strict=True):
                # Nobody waits any more where the caller hung up.
                if not answer.done():
                    answer.set_result(result)

    async def _write(self, rows: Sequence[Row]) -> list[Written]:
        try:
            return await self._attempt(rows)
        except psycopg.OperationalError:
            # A connection that broke off, or a deadlock. Writing again is safe, as the ids are the same.
            return await self._attempt(rows)

    async def _attempt(self, rows: Sequence[Row]) -> list[Written]:
        async with asyncio.timeout(WRITE_SECONDS), self._writing.connection() as connection:
            return await self._execute(connection, rows)

    async def _execute(self, connection: psycopg.AsyncConnection, rows: Sequence[Row]) -> list[Written]:
        posted = [{"position": position, **row.as_json()} for position, row in enumerate(rows)]
        cursor = await connection.execute(self._statement, [json.dumps(posted, ensure_ascii=False)])
        found = {position: Written(known, OUTCOMES[is_new]) async for position, is_new, known in cursor}
        return [found[position] for position in range(len(rows))]


def refusal(error: psycopg.Error) -> ApiError:
    """Why the database refuses a post, from the rule alone, as the message quotes the row."""
    rule = error.diag.constraint_name or type(error).__name__
    return ApiError(422, REFUSALS.get(rule, f"The database refuses it by its rule {rule}."))


def _fail(batch: Sequence[tuple[Row, asyncio.Future[Written]]], error: Exception) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
