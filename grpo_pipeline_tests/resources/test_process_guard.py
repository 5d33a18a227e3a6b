from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from grpo_pipeline.resources.process_guard import EXIT_LOCKED

# A stubborn trainer with a worker in a session of its own, as torchrun starts them.
STUBBORN = """
import signal, subprocess, sys, time
from pathlib import Path
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
worker = subprocess.Popen(
    [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"],
    start_new_session=True,
)
Path(sys.argv[1]).write_text(str(worker.pid))
time.sleep(600)
"""
IMPATIENT = """
import signal, sys
from pathlib import Path
from grpo_pipeline.resources import process_guard
process_guard.GRACE_SECONDS = {signal.SIGINT: 0.3, signal.SIGTERM: 0.3, signal.SIGKILL: 5.0}
process_guard.LOCK_WAIT_SECONDS = 0.5
sys.exit(process_guard.run_guarded(Path(sys.argv[1]), sys.argv[2:], sys.stdin))
"""
HOLDER = """
import subprocess, sys
subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True).wait()
"""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*command: str) -> subprocess.Popen[bytes]:
        guard = [sys.executable, "-c", IMPATIENT, str(tmp_path / "lock")]
        started.append(subprocess.Popen([*guard, *command], stdin=subprocess.PIPE, start_new_session=True))
        return started[-1]

    yield run
    for process in started:
        if process.stdin:
            process.stdin.close()
        process.wait(timeout=20)


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path.name} never appeared"
        time.sleep(0.05)
    return path.read_text()


@pytest.mark.parametrize(("program", "code"), [("pass", 0), ("import sys; sys.exit(3)", 3)])
def test_the_exit_code_is_the_commands_own(start: Start, program: str, code: int) -> None:
    assert start(sys.executable, "-c", program).wait(timeout=20) == code


def test_a_command_that_was_killed_ends_with_128_and_the_signal(start: Start) -> None:
    assert start(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)").wait(timeout=20) == 137


def test_closing_the_lifeline_stops_a_stubborn_command_and_its_workers(start: Start, tmp_path: Path) -> None:
    guard = start(sys.executable, "-c", STUBBORN, str(tmp_path / "pid"))
    worker = int(wait_for(tmp_path / "pid"))
    family = psutil.Process(guard.pid).children(recursive=True)
    assert worker in {process.pid for process in family}
    assert guard.stdin is not None
    guard.stdin.close()
    guard.wait(timeout=20)
    assert not [process for process in family if process.is_running()]


def test_a_second_run_of_the_same_work_waits_for_the_lock_and_says_so_when_it_gives_up(
    start: Start, tmp_path: Path
) -> None:
    start(sys.executable, "-c", STUBBORN, str(tmp_path / "pid"))
    wait_for(tmp_path / "pid")
    assert start(sys.executable, "-c", "pass").wait(timeout=20) == EXIT_LOCKED


def test_nothing_survives_a_kill_of_the_process_that_held_the_lifeline(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            sys.executable,
            "-c",
            IMPATIENT,
            str(tmp_path / "lock"),
            sys.executable,
            "-c",
            STUBBORN,
            str(tmp_path / "pid"),
        ]
    )
    wait_for(tmp_path / "pid")
    family = psutil.Process(holder.pid).children(recursive=True)
    assert len(family) == 3
    holder.kill()
    holder.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
