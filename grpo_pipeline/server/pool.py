"""The connections that the server keeps open."""

from __future__ import annotations

import psycopg
from psycopg_pool import AsyncConnectionPool

Pool = AsyncConnectionPool[psycopg.AsyncConnection]
POOL_SIZE = 6
# A request that gets no connection for so long is answered with 503 instead of waiting on.
POOL_SECONDS = 5.0


def connection_pool(url: str, *, size: int = POOL_SIZE, checked: bool = True) -> Pool:
    """A pool, not yet open, on a normalized database URL.

    Args:
        url: the database.
        size: most connections.
        checked: a connection is asked whether it is alive before it is given out, which is one more round trip.
    """
    return AsyncConnectionPool(
        url,
        min_size=1,
        max_size=size,
        timeout=POOL_SECONDS,
        open=False,
        # A transaction pooler loses prepared statements between transactions. What is one statement needs no other
        # round trips to begin and commit; what is more opens a transaction.
        kwargs={"prepare_threshold": None, "autocommit": True},
        check=AsyncConnectionPool.check_connection if checked else None,
        name="grpo-server",
    )
