"""What is read from the database every few seconds at most, however often it is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Refreshed(Generic[T]):
    """The last value read, read again when it is too old; those who ask meanwhile wait for the one read."""

    _value: T

    def __init__(self, read: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._read = read
        self._seconds = seconds
        self._read_at = float("-inf")
        self._reading: asyncio.Future[T] | None = None

    async def get(self) -> T:
        """The value, no older than it may be."""
        if not self._too_old():
            return self._value
        # A read that fails fails for all who wait for it: one after the other would each wait for it to time out.
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read())
        reading = self._reading
        value = await asyncio.shield(reading)
        if reading is self._reading:
            self._value, self._read_at = value, time.monotonic()
        return value

    def forget(self) -> None:
        """Read again at the next call, as something was changed; what is being read now may lack it."""
        self._read_at = float("-inf")
        self._reading = None

    def _too_old(self) -> bool:
        return time.monotonic() - self._read_at > self._seconds
