"""Keeps count of a run's device-hours and stops it at its caps, so that it can go on where a cap is raised."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from grpo_pipeline.artifacts import write_atomically
from grpo_pipeline.training.batches import process_count, process_rank
from grpo_pipeline.training.budget_settings import BudgetSettings
from grpo_pipeline.training.caps import Spent, cap_in_the_way, cap_reached
from grpo_pipeline.training.ledger import read_ledger, record, week_seconds
from grpo_pipeline.training.stopping import OVER_BUDGET, Stopped

SPENT_FILE = "spent.json"
# A killed run loses at most so much of its count.
SECONDS_BETWEEN_RECORDS = 5.0
HOUR = 3600.0


class Budget(TrainerCallback):
    """Counts the time of one process group from when it is made, in all phases; the first process keeps the count."""

    def __init__(
        self, settings: BudgetSettings, folder: Path, home: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start to count.

        Args:
            settings: price and caps.
            folder: of the run's checkpoints, which also says what earlier attempts of the run used.
            home: of the ledger of all runs.
        """
        self.settings = settings
        self.home = home
        self._spent_file = folder / SPENT_FILE
        self._clock = clock
        self._since = clock()
        self._earlier = self._earlier_attempts()
        self._week = week_seconds(read_ledger(home), datetime.now(UTC))
        self._reached: str | None = None

    def _earlier_attempts(self) -> float:
        if not self._spent_file.exists():
            return 0.0
        return float(json.loads(self._spent_file.read_text(encoding="utf-8"))["device_seconds"])

    @property
    def spent(self) -> Spent:
        """What the run and the week have used by now."""
        pending = self._pending()
        return Spent((self._earlier + pending) / HOUR, (self._week + pending) / HOUR)

    def _pending(self) -> float:
        return (self._clock() - self._since) * process_count()

    def write_down(self) -> None:
        """Bring the count to disk."""
        if process_rank() != 0:
            return
        pending, self._since = self._pending(), self._clock()
        self._earlier += pending
        self._week = week_seconds(record(self.home, pending), datetime.now(UTC))
        write_atomically(self._spent_file, json.dumps({"device_seconds": round(self._earlier, 3)}))

    def begin(self) -> None:
        """Make sure, before anything is loaded, that there is something left to spend.

        Raises:
            Stopped: a cap is reached already.
        """
        self._stop_for(cap_reached(self.settings, self.spent))

    def begin_phase(self, more_hours: float = 0.0) -> None:
        """Make sure that the phase before did not reach a cap, and that so many more device-hours would not.

        Raises:
            Stopped: a cap is in the way.
        """
        self._stop_for(self._reached or (cap_in_the_way(self.settings, self.spent, more_hours) if more_hours else None))

    def _stop_for(self, reason: str | None) -> None:
        agreed = _agreed(reason)
        if agreed:
            raise Stopped(OVER_BUDGET, agreed)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Called after every optimizer step: at a cap, a checkpoint is written and the phase ends."""
        if self._pending() >= SECONDS_BETWEEN_RECORDS * process_count():
            self.write_down()
        self._reached = _agreed(cap_reached(self.settings, self.spent))
        if self._reached:
            control.should_save = True
            control.should_training_stop = True

    def end_phase(self, state: TrainerState) -> None:
        """Called after a phase.

        Raises:
            Stopped: a cap ended it before its last step.
        """
        if self._reached and state.global_step < state.max_steps:
            raise Stopped(OVER_BUDGET, self._reached)


def _agreed(reason: str | None) -> str | None:
    """What the first process says: clocks differ, and all processes have to stop at the same step."""
    if process_count() == 1:
        return reason
    said = [reason]
    broadcast_object_list(said)
    return said[0]
