"""Waits until nothing that is still uncommitted can add rows to a week that is over."""

from __future__ import annotations

import time

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import transaction
from grpo_pipeline.weeks import Week

POLL_SECONDS = 0.5
# A number of its own is higher than that of everyone who wrote before. The snapshot's upper end is not: it lies below
# a writer that is the latest and still open. A read replica has no numbers to give, and only shows what was committed.
BARRIER = """
select clock_timestamp() >= %s,
       case when pg_is_in_recovery() then pg_snapshot_xmax(pg_current_snapshot()) else pg_current_xact_id() end::text
"""


def wait_for_commit_barrier(url: str, week: Week, timeout: float) -> bool:
    """Whether every transaction that wrote before the week's end was seen to end within `timeout` seconds.

    A transaction that is still open then may commit rows of the week later; its fingerprint shows them afterwards.

    Raises:
        PipelineError: by the server's clock the week is not over, or the database cannot be used.
    """
    deadline = time.monotonic() + timeout
    with transaction(url) as connection:
        row = connection.execute(BARRIER, (week.end,)).fetchone()
    assert row is not None
    over, barrier = row[0], int(row[1])
    if not over:
        raise PipelineError(f"Week {week.key} is not over by the database's clock: wait until {week.end:%Y-%m-%d} UTC.")
    while _oldest_running(url) < barrier:
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _oldest_running(url: str) -> int:
    with transaction(url) as connection:
        row = connection.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert row is not None
    return int(row[0])
