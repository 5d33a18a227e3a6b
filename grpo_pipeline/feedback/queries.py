"""The queries of `sql/queries/`, with their moments filled in."""

from __future__ import annotations

from datetime import datetime

from grpo_pipeline.postgres.sql_files import sql_folder

# One transaction that sees one state of the database, changes nothing and leaves no setting behind on a pooled
# connection. The limits are those of the role `feedback_extractor`, which `set role` does not bring along.
OPEN_SNAPSHOT = """
set transaction isolation level repeatable read, read only;
set local statement_timeout = '30min';
set local lock_timeout = '5s';
set local idle_in_transaction_session_timeout = '10min';
set local timezone = 'UTC';
"""
# Nothing but reading the feedback is needed, so nothing else is kept, where this user may become the extractor.
BECOME_EXTRACTOR = """
select set_config('role', r.rolname, true)::text as role
from pg_catalog.pg_roles r
where r.rolname = 'feedback_extractor' and pg_catalog.pg_has_role(session_user, r.oid, 'member')
"""


def window_query(name: str, start: datetime, end: datetime) -> str:
    """A query over the rows created in [start, end).

    The moments are literals: ADBC streams a result only where nothing is bound.
    """
    text = (sql_folder() / "queries" / f"{name}.sql").read_text("utf-8")
    query = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return query.replace(":'week_start'", _literal(start)).replace(":'week_end'", _literal(end))


def _literal(moment: datetime) -> str:
    return f"'{moment.isoformat()}'::timestamptz"
