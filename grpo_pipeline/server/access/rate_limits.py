"""How often each caller may ask."""

from __future__ import annotations

import time
from collections.abc import Callable

PRUNE_ABOVE = 20_000
ROUNDING_SECONDS = 1e-6


class RateLimit:
    """So many requests a minute for each caller, evenly refilled, as many at once as fit into a minute.

    The generic cell rate algorithm (ITU-T I.371): one number per caller, the time at which his allowance is full again.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 60.0 / per_minute
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def wait_for(self, caller: str) -> float:
        """Count a request; the seconds to wait where it is one too many (and does not count), else 0."""
        now = self._clock()
        full_at = max(self._full_at.get(caller, now), now) + self._interval
        wait = full_at - now - 60.0
        if wait > ROUNDING_SECONDS:
            return wait
        self._full_at[caller] = full_at
        if len(self._full_at) > PRUNE_ABOVE:
            self._full_at = {name: moment for name, moment in self._full_at.items() if moment > now}
        return 0.0
