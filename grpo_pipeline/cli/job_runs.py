"""Runs Dagster jobs in this process, on the instance that the UI shows, with their progress on the terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from grpo_pipeline.lost_runs import end_lost_runs, host_tag, pool_users

POLL_SECONDS = 0.5
UNEXPECTED = "ended unexpectedly; its log is in the UI: `grpo-pipeline dev`"
STEP_START, STEP_DONE, STEP_FAILED = (
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
)


@dataclass(frozen=True)
class JobRun:
    """What came of a run: its id and, where it failed, one sentence for each step that failed."""

    run_id: str
    success: bool
    problems: tuple[str, ...] = ()


@contextmanager
def terminal() -> Iterator[Console]:
    """A console on the terminal, while everything else that is printed goes nowhere.

    Steps write to Dagster's logs; their output on the terminal would tear the progress apart.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    try:
        with os.fdopen(os.dup(saved[0]), "w") as own:
            yield Console(file=own, soft_wrap=True, highlight=False)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, original in zip((1, 2), saved, strict=True):
            os.dup2(original, number)
            os.close(original)
        os.close(nowhere)


def run_job(
    instance: dg.DagsterInstance,
    console: Console,
    job: str,
    tags: Mapping[str, str],
    title: str,
    assets: Sequence[dg.AssetsDefinition],
) -> JobRun:
    """Run the part of a job that makes these assets to its end and show how far it is.

    Raises:
        KeyboardInterrupt: it was interrupted; nothing of it runs on.
    """
    from grpo_pipeline.definitions import defs

    run_id = str(uuid.uuid4())
    with _shown(console, title, len(assets)) as progress:
        _wait_for_pools(instance, progress, {asset.op.pool for asset in assets if asset.op.pool})
        follower = _Follower(instance, run_id, progress, [asset.key.path[-1] for asset in assets])
        follower.start()
        try:
            result = defs.resolve_job_def(job).execute_in_process(
                instance=instance,
                run_id=run_id,
                tags={**tags, **host_tag(), MAX_RETRIES_TAG: "0"},
                asset_selection=[asset.key for asset in assets],
                raise_on_error=False,
            )
        finally:
            follower.stop()
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status == dg.DagsterRunStatus.CANCELED:
        raise KeyboardInterrupt
    failed = [event for event in result.all_events if event.is_step_failure]
    if any("Interrupted" in _cause(event) for event in failed):
        raise KeyboardInterrupt
    return JobRun(run_id, result.success, tuple(f"{event.step_key}: {problem(event)}" for event in failed))


def _wait_for_pools(instance: dg.DagsterInstance, progress: _Shown, pools: set[str]) -> None:
    """Wait for what other runs are using, and say which; Dagster itself would wait in silence, with a core at work."""
    said = None
    end_lost_runs(instance)
    while users := pool_users(instance, pools):
        names = ", ".join(f"{run.job_name} ({run.run_id[:8]})" for run in users)
        if names != said:
            progress.say(f"waits until the accelerator is free: {names} is using it; terminate it in the UI if not")
        said = names
        time.sleep(POLL_SECONDS)
        end_lost_runs(instance)


def problem(event: dg.DagsterEvent) -> str:
    """The sentence with which a step failed; nothing that an unexpected error says, as it may quote anything."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    name, _, sentence = _cause(event).partition(": ")
    return sentence.strip() if name.endswith("Failure") else UNEXPECTED


def _cause(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None and not error.message.startswith("dagster._core.definitions"):
        error = error.cause
    return error.message if error else ""


class _Follower(threading.Thread):
    """Reads a run's events as they come: finished assets move the bar, what steps say stands beside it."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str, progress: _Shown, assets: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._instance, self._run_id, self._progress = instance, run_id, progress
        self._assets = set(assets)
        self._over = threading.Event()
        self._cursor: str | None = None

    def run(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._read()

    def stop(self) -> None:
        self._over.set()
        self.join()
        self._read()

    def _read(self) -> None:
        found = self._instance.get_records_for_run(self._run_id, self._cursor)
        self._cursor = found.cursor
        for record in found.records:
            self._take(record.event_log_entry)

    def _take(self, entry: dg.EventLogEntry) -> None:
        step = entry.step_key
        if step not in self._assets:
            return
        if not entry.is_dagster_event:
            self._progress.say(f"{step}: {entry.user_message}")
        elif entry.dagster_event_type == STEP_START:
            self._progress.say(step)
        elif entry.dagster_event_type in (STEP_DONE, STEP_FAILED):
            self._progress.advance()


class _Shown:
    """A progress bar on a terminal; lines elsewhere."""

    def __init__(self, console: Console, title: str, steps: int) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._console, self._title = console, title
        self._bar = Progress(*columns, console=console) if console.is_terminal else None
        self._task = self._bar.add_task(title, total=steps) if self._bar else None

    def __enter__(self) -> _Shown:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, text: str) -> None:
        """What is being done now."""
        if self._bar is None:
            self._console.print(escape(f"{self._title}: {text}"))
        elif self._task is not None:
            room = max(20, self._console.width - 50)
            self._bar.update(self._task, description=escape(f"{self._title}: {text}"[:room]))

    def advance(self) -> None:
        """One more asset is done."""
        if self._bar and self._task is not None:
            self._bar.advance(self._task)


def _shown(console: Console, title: str, steps: int) -> _Shown:
    return _Shown(console, title, steps)
