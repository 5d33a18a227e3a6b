"""How far an evaluation is and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable

from grpo_pipeline.training.watching import Watcher


class Progress:
    """Counts work in tokens over all models and tells a watcher after every batch."""

    def __init__(self, watcher: Watcher, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._watcher = watcher
        self._left = total
        self._done = 0
        self._clock = clock
        self._start = clock()

    def skip(self, cost: int) -> None:
        """Take work off that was done before."""
        self._left -= cost

    def advance(self, cost: int, model: str, pairs: int, of: int) -> None:
        """Count a batch of one model as done."""
        self._done += cost
        self._left -= cost
        seconds = (self._clock() - self._start) * self._left / self._done
        self._watcher.step(f"evaluating {model}, pair", pairs, of, f"about {seconds:.0f} s left")
