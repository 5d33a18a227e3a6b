"""Runs a command in a session of its own and leaves none of it behind.

Started as `python -m grpo_pipeline.resources.process_guard LOCK_FILE COMMAND...` with a pipe as standard input. The
pipe is a lifeline: when its other end closes, on purpose or because the process that held it was killed, the guard
stops the whole command with SIGINT, then SIGTERM, then SIGKILL. It holds the lock until the last process is gone, so
that a retry never writes beside a run that is still dying.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

import psutil  # type: ignore[import-untyped]

# What the command gets to end by itself after each signal; SIGKILL needs none but the kernel's own time.
GRACE_SECONDS = {signal.SIGINT: 10.0, signal.SIGTERM: 5.0, signal.SIGKILL: 5.0}
STOP_SECONDS = sum(GRACE_SECONDS.values())
LOCK_WAIT_SECONDS = 2 * STOP_SECONDS
# As in sysexits.h: a temporary failure, try again later.
EXIT_LOCKED = 75
_PR_SET_CHILD_SUBREAPER = 36


def _adopt_orphans() -> None:
    # torchrun starts its workers in sessions of their own, which no signal to the process group would reach.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _alive() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def _stop_everything() -> None:
    for number, grace in GRACE_SECONDS.items():
        deadline = time.monotonic() + grace
        remaining = _alive()
        for process in remaining:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        while remaining and time.monotonic() < deadline:
            time.sleep(0.05)
            remaining = _alive()
        if not remaining:
            return


def _reap_orphans() -> None:
    # What was adopted has to be waited for, or it stays as a zombie where nobody else does it, as in a container.
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _take_lock(path: Path) -> TextIO | None:
    lock = path.open("a", encoding="utf-8")
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                return None
            time.sleep(0.2)


def _watch(lifeline: TextIO, stop: threading.Event) -> None:
    lifeline.read()
    stop.set()


def run_guarded(lock_file: Path, command: list[str], lifeline: TextIO) -> int:
    """Run a command to its end, or until the lifeline closes, and return its exit code (128 + n for signal n)."""
    lock = _take_lock(lock_file)
    if lock is None:
        return EXIT_LOCKED
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _adopt_orphans()
    with lock:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        threading.Thread(target=_watch, args=(lifeline, stop), daemon=True).start()
        while child.poll() is None and not stop.wait(0.05):
            continue
        _stop_everything()
        code = child.wait()
        _reap_orphans()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(run_guarded(Path(sys.argv[1]), sys.argv[2:], sys.stdin))
