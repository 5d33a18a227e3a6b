"""Puts imported rows into `agent_feedback` by COPY; rows that are there already, or were erased, stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg

from grpo_pipeline.feedback.importing.drafts import CheckedFeedback

CREATE_STAGE = """
create temporary table imported_feedback (
  line bigint, id uuid, created_at timestamptz, user_id uuid, session_id text, feedback_type text, prompt text,
  response text, corrections text, score double precision, model_version text, tools jsonb, metadata jsonb
) on commit drop
"""
COPY_STAGE = """
copy imported_feedback (line, id, created_at, user_id, session_id, feedback_type, prompt, response, corrections, score,
                        model_version, tools, metadata) from stdin
"""
CREATE_USERS = """
insert into auth.users (id) select distinct user_id from imported_feedback where user_id is not null
on conflict (id) do nothing
"""
TAKE_UNKNOWN_USERS = """
delete from imported_feedback i
where i.user_id is not null and not exists (select from auth.users u where u.id = i.user_id)
returning i.line
"""
# A row that a person had erased does not come back because its file is imported again.
TAKE_ERASED = """
delete from imported_feedback i
using public.feedback_tombstones t
where t.table_name = 'agent_feedback' and t.row_id = i.id
"""
INSERT = """
insert into public.agent_feedback
  (id, created_at, updated_at, user_id, session_id, feedback_type, prompt, response, corrections, score, model_version,
   tools, metadata)
select id, created_at, created_at, user_id, session_id, feedback_type, prompt, response, corrections, score,
       model_version, tools, metadata
from imported_feedback
order by created_at, id
on conflict (id) do nothing
"""


@dataclass(frozen=True)
class ImportedRow:
    """One row ready for the database, and the line it came from."""

    line: int
    id: UUID
    created_at: datetime
    feedback: CheckedFeedback


@dataclass
class Loaded:
    """What became of rows that were given to the database; `refused` holds lines and reasons."""

    new: int = 0
    present: int = 0
    erased: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Loaded) -> None:
        """Count another batch in."""
        self.new += other.new
        self.present += other.present
        self.erased += other.erased
        self.refused += other.refused


class FeedbackLoader:
    """Loads rows within the open transaction of one connection."""

    def __init__(self, connection: psycopg.Connection, create_users: bool) -> None:
        self._connection = connection
        self._create_users = create_users
        connection.execute(CREATE_STAGE)

    def load(self, rows: Sequence[ImportedRow]) -> Loaded:
        """Load rows; one that breaks a rule of the table is refused alone.

        Raises:
            psycopg.Error: the database fails, or this user may not write.
        """
        if not rows:
            return Loaded()
        try:
            with self._connection.transaction():
                return self._load_together(rows)
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            if len(rows) == 1:
                rule = error.diag.constraint_name or type(error).__name__
                return Loaded(refused=[(rows[0].line, f"refused by the database: {rule}")])
        half = len(rows) // 2
        loaded = self.load(rows[:half])
        loaded.add(self.load(rows[half:]))
        return loaded

    def _load_together(self, rows: Sequence[ImportedRow]) -> Loaded:
        with self._connection.cursor() as cursor:
            cursor.execute("delete from imported_feedback")
            with cursor.copy(COPY_STAGE) as copy:
                for values in _columns(rows):
                    copy.write_row(values)
            if self._create_users:
                cursor.execute(CREATE_USERS)
            unknown = cursor.execute(TAKE_UNKNOWN_USERS).fetchall()
            erased = cursor.execute(TAKE_ERASED).rowcount
            new = cursor.execute(INSERT).rowcount
        refused = [(line, "userId is no user of the database") for (line,) in unknown]
        return Loaded(new, len(rows) - len(refused) - erased - new, erased, refused)


def _columns(rows: Sequence[ImportedRow]) -> Iterator[tuple[object, ...]]:
    for row in rows:
        feedback = row.feedback
        yield (
            row.line,
            row.id,
            row.created_at,
            feedback.user_id,
            feedback.session_id,
            feedback.feedback_type,
            feedback.prompt,
            feedback.response,
            feedback.corrections,
            feedback.score,
            feedback.model_version,
            feedback.tools,
            feedback.metadata,
        )
