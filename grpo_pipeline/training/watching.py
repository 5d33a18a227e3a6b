"""Who watches a long process: a person at a terminal, a log file, or Dagster."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

SECONDS_BETWEEN_LINES = 5.0

logger = logging.getLogger("grpo_pipeline")


class Watcher(Protocol):
    """Told what happens; numbers and names only, never user text."""

    def note(self, text: str) -> None:
        """Something that happens once."""

    def step(self, counted: str, done: int, total: int, numbers: str = "") -> None:
        """So many are done of what is counted, like "GRPO step" or "warm_start answers, question"."""


class LineWatcher:
    """Writes lines, of steps only one every few seconds and the last."""

    def __init__(self, sinks: Sequence[Callable[[str], None]]) -> None:
        self.sinks = sinks
        self._spoke = float("-inf")

    def note(self, text: str) -> None:
        """Write a line at once."""
        for sink in self.sinks:
            sink(text)

    def step(self, counted: str, done: int, total: int, numbers: str = "") -> None:
        """Write a line where it is time for one."""
        if done != total and time.monotonic() - self._spoke < SECONDS_BETWEEN_LINES:
            return
        self._spoke = time.monotonic()
        self.note(_titled(f"{counted} {done} of {total}", numbers))


class BarWatcher:
    """Draws one progress bar a phase on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._bars: dict[str, TaskID] = {}

    def note(self, text: str) -> None:
        """Write a line above the bars."""
        self.progress.console.print(text, highlight=False, markup=False)

    def step(self, counted: str, done: int, total: int, numbers: str = "") -> None:
        """Move the bar of what is counted."""
        if counted not in self._bars:
            self._bars[counted] = self.progress.add_task(counted, total=total)
        self.progress.update(self._bars[counted], completed=done, description=_titled(counted, numbers))


def _titled(title: str, numbers: str) -> str:
    return f"{title}: {numbers}" if numbers else title


@contextmanager
def watched() -> Iterator[Watcher]:
    """The watcher that fits where this process runs; under Dagster, an error also reaches its event log.

    Only the first of several processes may open it.
    """
    from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

    if PipesEnvVarParamsLoader().is_dagster_pipes_process():
        with open_dagster_pipes() as pipes:
            yield LineWatcher([pipes.log.info, logger.info])
        return
    if not sys.stderr.isatty():
        yield LineWatcher([logger.info])
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield BarWatcher(progress)


class SilentWatcher:
    """For the other processes of a run: the first one speaks."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def step(self, counted: str, done: int, total: int, numbers: str = "") -> None:
        """Say nothing."""
