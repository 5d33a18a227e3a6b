"""What a run says while it works: metrics to a file, and a line now and then to whoever watches."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from grpo_pipeline.artifacts import write_atomically
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.watching import Watcher

METRICS_FILE = "metrics.jsonl"
# A count over the whole run, which starts anew where the run is taken up again.
DROPPED = "num_tokens"


def keep_metrics_until(path: Path, phase: str, step: int) -> None:
    """Drop the metrics that a killed run wrote after the checkpoint it goes on from."""
    if not path.exists():
        return
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _is_earlier(line, phase, step)]
    write_atomically(path, "".join(f"{line}\n" for line in kept))


def _is_earlier(line: str, phase: str, step: int) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return row["phase"] != phase or row["step"] <= step


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Every step's metrics, in order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Progress(TrainerCallback):
    """Follows one phase step by step, and stops it where its numbers are no numbers any more."""

    def __init__(self, phase: str, metrics: Path, watcher: Watcher) -> None:
        self.phase = phase
        self.metrics = metrics
        self.watcher = watcher
        self._first_step = 0
        self._began = self._step_began = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Called once, before the first step of this process."""
        self._first_step = state.global_step
        self._began = self._step_began = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: object,
    ) -> None:
        """Called after every optimizer step, before its checkpoint is written.

        Raises:
            PipelineError: the loss or the gradient is not finite.
        """
        if not logs or "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise PipelineError(
                    f"Training diverged: the {name.replace('_', ' ')} of {self.phase} step {state.global_step} is "
                    f"{logs[name]}. Lower the learning rate (GRPO_TRAINING__LEARNING_RATE, "
                    "GRPO_TRAINING__WARM_START_LEARNING_RATE) and run the week again."
                )
        if state.is_world_process_zero:
            self._write(state, logs)
            self._speak(state, logs)

    def _write(self, state: TrainerState, logs: dict[str, Any]) -> None:
        now = time.monotonic()
        row = {"phase": self.phase, "step": state.global_step, "seconds": round(now - self._step_began, 3)}
        self._step_began = now
        row |= {name: _plain(value) for name, value in logs.items() if name != DROPPED}
        with self.metrics.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")

    def _speak(self, state: TrainerState, logs: dict[str, Any]) -> None:
        done = state.global_step - self._first_step
        left = (time.monotonic() - self._began) / done * (state.max_steps - state.global_step) if done else 0.0
        # None where no reward applied to any answer of the step.
        reward = f"reward {logs['reward']:.3f}, " if logs.get("reward") is not None else ""
        numbers = f"{reward}loss {logs['loss']:.4f}, {left:.0f} s left"
        self.watcher.step(f"{self.phase} step", state.global_step, state.max_steps, numbers)
