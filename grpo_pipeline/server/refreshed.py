"""What is read from the database every few seconds at most, however often it is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Refreshed(Generic[T]):
    """The last value read, read again when it is too old; those who ask meanwhile wait for the one read."""

    def __init__(self, read: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def get(self) -> T:
        """The value, no older than it may be."""
        if self._too_old():
            async with self._reading:
                # Another may have read it while this one waited.
                if self._too_old():
                    self._value = await self._read()
                    self._read_at = time.monotonic()
        return self._value

    def forget(self) -> None:
        """Read again at the next call, as something was changed."""
        self._read_at = float("-inf")

    def _too_old(self) -> bool:
        return time.monotonic() - self._read_at > self._seconds
