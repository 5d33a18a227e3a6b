"""The keys as the running server knows them: read again every few seconds, so that a revoked one soon fails."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.rows import class_row

from grpo_pipeline.server.access.keys import SELECT, ApiKey, hash_key
from grpo_pipeline.server.pool import Pool
from grpo_pipeline.server.refreshed import Refreshed

# How long a revoked key may still work, and a new one may not.
REFRESH_SECONDS = 3.0


class KeyRing:
    """Finds the key that somebody shows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known = Refreshed(self._read, REFRESH_SECONDS)

    async def find(self, shown: str) -> ApiKey | None:
        """The key, where it is one that is in use.

        Raises:
            psycopg.Error: the database cannot be read.
        """
        known = (await self._known.get()).get(hash_key(shown))
        return known if known and known.revoked_at is None else None

    async def is_empty(self) -> bool:
        """Whether no key was ever made: revoking the last one does not open what keys had closed."""
        return not await self._known.get()

    async def _read(self) -> Mapping[str, ApiKey]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(ApiKey)) as cursor:
            keys = await (await cursor.execute(SELECT)).fetchall()
        return {key.secret_hash: key for key in keys}
