"""The one place where training and evaluation leave Dagster's process for their own.

Running them on Kubernetes, Ray or Slurm means giving the assets another resource with the same `run`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import dagster as dg
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from grpo_pipeline.resources.process_guard import EXIT_LOCKED, STOP_SECONDS

Launcher = Literal["python", "accelerate", "torchrun"]
# The training and evaluation processes start the sentence a person should read with this word.
ERROR_PREFIX = "Error: "
CONFIG_FILE = "run.json"
LOCK_FILE = "lock"
RETRIES, RETRY_SECONDS = 1, 10


def build_command(module: str, config_file: Path, launcher: Launcher, processes: int) -> list[str]:
    """The command line that runs a module on one machine with one or several processes."""
    program = ["-m", module, "--config", str(config_file)]
    match launcher:
        case "python":
            return [sys.executable, *program]
        case "accelerate":
            placement = ["--num_machines", "1", "--num_processes", str(processes)]
            fixed = ["--mixed_precision", "no", "--dynamo_backend", "no"]
            return [sys.executable, "-m", "accelerate.commands.launch", *placement, *fixed, *program]
        case "torchrun":
            placement = ["--standalone", "--nproc-per-node", str(processes)]
            return [sys.executable, "-m", "torch.distributed.run", *placement, *program]


def failure(module: str, code: int, sentence: str | None) -> dg.Failure:
    """What an exit code means to a person, and whether trying again can help."""
    name = module.rpartition(".")[2]
    if sentence:
        return dg.Failure(sentence, allow_retries=False)
    if code == EXIT_LOCKED:
        return dg.Failure(f"An earlier {name} process of this week is still stopping: run the week again in a minute.")
    if code > 128:
        number = signal.Signals(code - 128).name
        hint = " The machine may have run out of memory." if code == 128 + signal.SIGKILL else ""
        return dg.Failure(
            f"The {name} process was stopped by {number}.{hint} A retry goes on from its last checkpoint."
        )
    return dg.Failure(
        f"The {name} process ended with exit code {code}: the reason is at the end of stderr in this run's logs."
    )


class LaunchSettings(BaseSettings):
    """How heavy modules are started: GRPO_LAUNCH_LAUNCHER and GRPO_LAUNCH_PROCESSES, also read from `.env`."""

    model_config = SettingsConfigDict(env_prefix="GRPO_LAUNCH_", env_file=".env", extra="ignore", frozen=True)

    launcher: Launcher = Field("python", description="How processes are started: python, accelerate or torchrun.")
    processes: int = Field(1, ge=1, description="How many processes, usually one a GPU; python starts one.")


class _StandardError(threading.Thread):
    """Passes a process's standard error on and keeps its last error sentence."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.sentence: str | None = None

    def run(self) -> None:
        for line in self._stream:
            sys.stderr.write(line)
            if line.startswith(ERROR_PREFIX):
                self.sentence = line.removeprefix(ERROR_PREFIX).strip()
        sys.stderr.flush()


class Trainer(dg.ConfigurableResource[Any]):
    """Runs a heavy module in its own processes, streams its progress, and stops all of it with the step."""

    launcher: Launcher = Field(default="python", description=LaunchSettings.model_fields["launcher"].description)
    processes: int = Field(default=1, description=LaunchSettings.model_fields["processes"].description)

    def run(
        self,
        context: dg.AssetExecutionContext,
        module: str,
        config: Mapping[str, Any],
        working_directory: Path,
        *,
        alone: bool = False,
    ) -> None:
        """Run a module on a config to its end.

        The config is written to a file in the working directory, which also holds the lock that keeps a second run
        of the same work waiting. Whatever ends the step, none of the processes outlives it. `alone` starts one process,
        however many train together elsewhere.

        Raises:
            dg.Failure: the process failed; the description is its own error sentence where it gave one.
            dg.RetryRequested: it was killed or ended unexpectedly, and may go on from its last checkpoint.
        """
        config_file = working_directory / CONFIG_FILE
        config_file.write_text(json.dumps(config, indent=2, default=str), encoding="utf-8")
        launcher: Launcher = "python" if alone else self.launcher
        command = build_command(module, config_file, launcher, 1 if alone else self.processes)
        with dg.open_pipes_session(
            context=context,
            context_injector=dg.PipesTempFileContextInjector(),
            message_reader=dg.PipesTempFileMessageReader(),
        ) as session:
            code, sentence = run_to_the_end(
                command, working_directory / LOCK_FILE, {**os.environ, **session.get_bootstrap_env_vars()}
            )
        if code == 0:
            return
        failed = failure(module, code, sentence)
        if not failed.allow_retries:
            raise failed
        # Not a retry policy of the asset: with one, Dagster starts a step again that somebody cancelled.
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from failed


def run_to_the_end(command: list[str], lock_file: Path, environment: Mapping[str, str]) -> tuple[int, str | None]:
    """Run a command with everything it starts, and stop all of it should this process be stopped.

    Returns its exit code, and its own error sentence where it gave one.
    """
    guard = [sys.executable, "-m", "grpo_pipeline.resources.process_guard", str(lock_file)]
    process = subprocess.Popen(
        [*guard, *command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # Python holds back output that does not go to a terminal, and progress would come only at the end.
        env={**environment, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    reader = _StandardError(process.stderr)
    reader.start()
    try:
        code = process.wait()
    finally:
        process.stdin.close()
        process.wait(timeout=STOP_SECONDS + 10)
        reader.join(timeout=10)
    return code, reader.sentence
