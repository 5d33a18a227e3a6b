"""The process that serves a data folder: which one it is, and how to end it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from grpo_pipeline.errors import PipelineError

_STOP_SECONDS = 60.0
# Counted from 0: after pid, folder, start time, port, socket folder, address and shared memory.
_STATUS_LINE = 7


@dataclass(frozen=True)
class Postmaster:
    """A living server process, the port it serves, and whether it takes connections by now."""

    pid: int
    port: int
    ready: bool


def find_postmaster(data: Path) -> Postmaster | None:
    """The server that runs on the data folder; none if its pid file is gone, stale or of another program."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
        pid, port = int(lines[0]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return None
    if str(data) not in _command_line(pid):
        return None
    return Postmaster(pid, port, ready=len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready")


def stop_postmaster(data: Path, how: signal.Signals) -> bool:
    """End the server of the data folder, wait until it is gone, and return whether there was one.

    Args:
        data: the data folder.
        how: SIGINT ends its sessions and saves everything, SIGQUIT ends it at once.

    Raises:
        PipelineError: it did not end.
    """
    found = find_postmaster(data)
    if found is None:
        return False
    pid = found.pid
    for sign in (how, signal.SIGQUIT):
        _send(pid, sign)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if str(data) not in _command_line(pid):
                return True
            time.sleep(0.05)
    raise PipelineError(f"The embedded Postgres (process {pid}) does not stop: end it by hand.")


def _send(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise PipelineError(
            f"The embedded Postgres (process {pid}) belongs to another user: stop it as that user."
        ) from error


def _command_line(pid: int) -> str:
    """The command line of a living process; empty for one that ended, also if nobody has taken note of its end."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            return (proc / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    done = subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True)
    return done.stdout
