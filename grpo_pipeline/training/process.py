"""What surrounds the heavy work of a process of its own: its exit code, its last words, and its end with its parent."""

from __future__ import annotations

import argparse
import ctypes
import errno
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol, TypeVar

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.batches import process_rank
from grpo_pipeline.training.locks import exclusive
from grpo_pipeline.training.watching import SilentWatcher, Watcher, watched

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130
LOCK_WAIT_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
# Set by what launches a process and waits for its end.
_WATCHED = "_GRPO_PROCESS_WATCHED"
# Read by the libraries when they are loaded, which is after this process's work began.
_LIBRARY_SETTINGS = {
    # cuBLAS is only deterministic with a fixed workspace.
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    # How long threads spin while they wait for the next small product, in rounds. Spinning for long takes the
    # processor from those they wait for wherever anything else runs beside this process (a training step took five
    # times as long); not at all, sampling takes 1.5 times as long on a quiet machine. So many do well on both.
    "GOMP_SPINCOUNT": "10000",
    # Large tensors in pages of 2 MiB. In a virtual machine the first use of a page of 4 KiB took up to 20 us: half a
    # million in a training step took it from 15 to 22 s, and whether there were so many changed from run to run.
    "THP_MEM_ALLOC_ENABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # The trainers would report each run to the Hub.
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# How libraries that write files by themselves report a full disk.
_NO_SPACE_WORDS = (
    "no space left on device",
    "disk quota exceeded",
    "file too large",
    "os error 28",
    "pytorchstreamwriter failed",
)


class Run(Protocol):
    """What a config file asks for."""

    @property
    def output_dir(self) -> Path:
        """The folder that the process writes."""


AnyRun = TypeVar("AnyRun", bound=Run)


def main_from_file(
    module: str, description: str | None, read: Callable[[Path], AnyRun], work: Callable[[AnyRun, Watcher], None]
) -> int:
    """Do what the config file named on the command line asks for, and return the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--config", type=Path, required=True, help="JSON file that says what to do")
    arguments = parser.parse_args()
    die_with_parent()
    try:
        run = read(arguments.config)
    except PipelineError as error:
        sys.stderr.write(f"Error: {error}\n")
        return EXIT_ERROR
    return run_process(lambda watcher: work(run, watcher), run.output_dir)


def run_watched(command: Sequence[str]) -> int:
    """Run a command of this package to its end and return its exit code; it never outlives this process."""
    return subprocess.run(command, check=False, stdout=sys.stderr, env={**os.environ, _WATCHED: "1"}).returncode


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that launched it for a run is gone, so that no orphan trains on.

    Only where a launcher watches over it: a person's own shell may end before the run does.
    """
    launched = any(name in os.environ for name in (_WATCHED, "DAGSTER_PIPES_CONTEXT", "TORCHELASTIC_RUN_ID"))
    if sys.platform != "linux" or not launched:
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what led to it, each once."""
    found: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in found:
        found.append(link)
        link = link.__cause__ or link.__context__
    return found


def explained(error: BaseException, output: Path) -> str | None:
    """One sentence about an error that a person can put right, or None where it is a fault of the program."""
    if isinstance(error, PipelineError):
        return str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return (
            "The GPU has too little memory: lower GRPO_TRAINING__MICRO_BATCH or "
            "GRPO_TRAINING__MAX_COMPLETION_TOKENS, or choose a smaller base model."
        )
    for link in _chain(error):
        number = link.errno if isinstance(link, OSError) else None
        if number in _NO_SPACE or any(words in str(link).lower() for words in _NO_SPACE_WORDS):
            return (
                f"The disk of {output} is full: free some space and run again, which goes on from the last checkpoint."
            )
        if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            return f"{output} cannot be written: give the user who runs this write access, or choose another folder."
    return None


def _owned(output: Path) -> AbstractContextManager[None]:
    """Make the output folder and keep other runs out of it; the lock lies beside it, as the folder is published."""
    output.mkdir(parents=True, exist_ok=True)
    busy = f"Another process (number {{holder}}) is still writing {output}: wait for it or stop it, then run again."
    return exclusive(output.parent / f".{output.name}.lock", wait_seconds=LOCK_WAIT_SECONDS, busy=busy)


def run_process(work: Callable[[Watcher], None], output: Path) -> int:
    """Do a process's work and return its exit code: 0, 1 after an error, 130 when interrupted.

    An error that a person can put right is one line on standard error that starts with "Error:".
    """
    for name, value in _LIBRARY_SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logging.getLogger("grpo_pipeline").setLevel(logging.INFO)
    first = process_rank() == 0
    try:
        with (
            _owned(output) if first else nullcontext(),
            watched() if first else nullcontext(SilentWatcher()) as watcher,
        ):
            work(watcher)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        sentence = explained(error, output)
        if sentence is None:
            raise
        if first or not isinstance(error, PipelineError):
            sys.stderr.write(f"Error: {sentence}\n")
        return EXIT_ERROR
    return 0
