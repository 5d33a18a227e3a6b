"""The keys as the running server knows them: read again every few seconds, so that a revoked one soon fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg.rows import class_row

from grpo_pipeline.server.access.keys import SELECT, ApiKey, hash_key
from grpo_pipeline.server.pool import Pool

# How long a revoked key may still work, and a new one may not.
REFRESH_SECONDS = 3.0


@dataclass
class KeyRing:
    """Finds the key that somebody shows."""

    pool: Pool
    _known: Mapping[str, ApiKey] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, shown: str) -> ApiKey | None:
        """The key, where it is one that is in use.

        Raises:
            psycopg.Error: the database cannot be read.
        """
        known = (await self._current()).get(hash_key(shown))
        return known if known and known.revoked_at is None else None

    async def is_empty(self) -> bool:
        """Whether no key was ever made: revoking the last one does not open what keys had closed."""
        return not await self._current()

    async def _current(self) -> Mapping[str, ApiKey]:
        if time.monotonic() - self._read_at > REFRESH_SECONDS:
            async with self._reading:
                # Others may have read while this one waited.
                if time.monotonic() - self._read_at > REFRESH_SECONDS:
                    await self._read()
        return self._known

    async def _read(self) -> None:
        async with self.pool.connection() as connection, connection.cursor(row_factory=class_row(ApiKey)) as cursor:
            keys = await (await cursor.execute(SELECT)).fetchall()
        self._known = {key.secret_hash: key for key in keys}
        self._read_at = time.monotonic()
