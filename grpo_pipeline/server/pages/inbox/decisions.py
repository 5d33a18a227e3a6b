"""What a reviewer decides about pairs: written together with who, when, and what the pair was before and after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import tuple_row

Action = Literal["approve", "reject", "edit"]
STATUS: dict[Action, str] = {"approve": "approved", "reject": "rejected", "edit": "approved"}


def _state(row: str) -> str:
    """SQL for what a decision may change of a pair, with a digest of its texts in place of them."""
    return f"""
    jsonb_build_object(
      'status', {row}.review_status, 'by', {row}.reviewed_by, 'note', {row}.review_note,
      'at', to_char({row}.reviewed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      'texts', encode(sha256(convert_to(
        jsonb_build_array({row}.prompt, {row}.chosen, {row}.rejected)::text, 'UTF8')), 'hex'))"""


# A pair that changed since the reviewer saw it keeps its version from matching, also while another one decides on it.
DECIDE = f"""
with asked as (
  select * from unnest(%(ids)s::uuid[], %(versions)s::timestamptz[]) as a (id, version)
), seen as materialized (
  select p.* from public.preference_pairs p join asked a on a.id = p.id and a.version = p.updated_at
  order by p.id for update of p
), decided as (
  update public.preference_pairs p
  set review_status = %(status)s, reviewed_by = %(who)s, reviewed_at = clock_timestamp(), review_note = null,
      chosen = coalesce(%(chosen)s, p.chosen)
  from seen s where p.id = s.id
  returning p.*
)
insert into private.pair_decisions (batch, pair_id, decided_by, action, before, after)
select %(batch)s, s.id, %(who)s, %(action)s,
  {_state("s")} || case when s.chosen = d.chosen then '{{}}' else jsonb_build_object('chosen', s.chosen) end,
  {_state("d")} || case when s.chosen = d.chosen then '{{}}' else jsonb_build_object('chosen', d.chosen) end
from seen s join decided d on d.id = s.id
returning pair_id
"""
# The last decision that still stands as it was made: a pair whose text or status changed since is left alone.
UNDO = f"""
with standing as (
  select d.id, d.batch
  from private.pair_decisions d join public.preference_pairs p on p.id = d.pair_id
  where d.decided_by = %(who)s and d.action <> 'undo'
    and not exists (select from private.pair_decisions u where u.undoes = d.id)
    and {_state("p")} = d.after - 'chosen'
  order by d.id desc limit 1
), seen as materialized (
  select p.*, d.id as decision, d.before as earlier
  from private.pair_decisions d join public.preference_pairs p on p.id = d.pair_id
  where d.batch = (select batch from standing) and d.action <> 'undo'
    and not exists (select from private.pair_decisions u where u.undoes = d.id)
    and {_state("p")} = d.after - 'chosen'
  order by p.id for update of p
), restored as (
  update public.preference_pairs p
  set review_status = s.earlier ->> 'status', reviewed_by = s.earlier ->> 'by', review_note = s.earlier ->> 'note',
      reviewed_at = (s.earlier ->> 'at')::timestamptz, chosen = coalesce(s.earlier ->> 'chosen', p.chosen)
  from seen s where p.id = s.id
  returning p.*
)
insert into private.pair_decisions (batch, pair_id, decided_by, action, before, after, undoes)
select %(batch)s, s.id, %(who)s, 'undo',
  {_state("s")} || case when s.chosen = r.chosen then '{{}}' else jsonb_build_object('chosen', s.chosen) end,
  {_state("r")} || case when s.chosen = r.chosen then '{{}}' else jsonb_build_object('chosen', r.chosen) end,
  s.decision
from seen s join restored r on r.id = s.id
returning pair_id
"""


async def decide(
    connection: psycopg.AsyncConnection,
    who: str,
    action: Action,
    pairs: Sequence[tuple[UUID, datetime]],
    chosen: str | None = None,
) -> set[UUID]:
    """Decide about pairs; the ids of those it was done to.

    Args:
        connection: to the database.
        who: the reviewer.
        action: `approve`, `reject`, or `edit`, which approves the pair with another text.
        pairs: ids, each with the time of the pair's last change as the reviewer saw it.
        chosen: the kept answer from now on, where it is edited.
    """
    values = {
        "ids": [identity for identity, _ in pairs],
        "versions": [version for _, version in pairs],
        "who": who,
        "action": action,
        "status": STATUS[action],
        "chosen": chosen,
        "batch": uuid4(),
    }
    return await _written(connection, DECIDE, values)


async def undo(connection: psycopg.AsyncConnection, who: str) -> set[UUID]:
    """Take back the reviewer's last decision that still stands; the ids of the pairs, none where there is none."""
    return await _written(connection, UNDO, {"who": who, "batch": uuid4()})


async def _written(connection: psycopg.AsyncConnection, statement: str, values: dict[str, object]) -> set[UUID]:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        return {row[0] for row in await (await cursor.execute(statement.encode(), values)).fetchall()}
