import errno
import io
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.locks import exclusive
from grpo_pipeline.training.process import EXIT_ERROR, EXIT_INTERRUPTED, run_process
from grpo_pipeline.training.watching import BarWatcher, LineWatcher, Watcher

SLEEPER = (
    "from grpo_pipeline.training.process import die_with_parent; import os, sys, time; die_with_parent(); "
    "print(os.getpid(), file=sys.stderr, flush=True); time.sleep(60)"
)
LAUNCHERS = {
    "torchrun": "import os, subprocess, sys; "
    "subprocess.run([sys.executable, '-c', sys.argv[1]], env={**os.environ, 'TORCHELASTIC_RUN_ID': 'test'})",
    "a command": "import sys; from grpo_pipeline.training.process import run_watched; "
    "run_watched([sys.executable, '-c', sys.argv[1]])",
}


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PipelineError("Put this right."), EXIT_ERROR, "Error: Put this right.\n"),
        (OSError(errno.ENOSPC, "No space left on device"), EXIT_ERROR, "is full"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), EXIT_ERROR, "is full"),
        (PermissionError(errno.EACCES, "Permission denied"), EXIT_ERROR, "cannot be written"),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, ""),
    ],
)
def test_an_error_becomes_an_exit_code_and_a_sentence(
    error: BaseException, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_process(lambda _: fail(error), tmp_path / "policy") == code
    assert words in capsys.readouterr().err


def test_a_fault_of_the_program_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run_process(lambda _: fail(ZeroDivisionError()), tmp_path / "policy")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run_process(lambda _: None, tmp_path / "file" / "policy") == EXIT_ERROR
    assert "cannot be written" in capsys.readouterr().err


def test_progress_goes_to_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def work(watcher: Watcher) -> None:
        watcher.step("GRPO step", 1, 100, "reward 0.5")
        watcher.step("GRPO step", 2, 100, "reward 0.6")
        watcher.step("GRPO step", 100, 100, "reward 0.9")
        watcher.step("base answers, question", 32, 32)

    with caplog.at_level(logging.INFO, logger="grpo_pipeline"):
        assert run_process(work, tmp_path / "policy") == 0
    assert caplog.messages == [
        "GRPO step 1 of 100: reward 0.5",
        "GRPO step 100 of 100: reward 0.9",
        "base answers, question 32 of 32",
    ]


def test_a_line_watcher_tells_all_its_listeners() -> None:
    first: list[str] = []
    second: list[str] = []
    LineWatcher([first.append, second.append]).note("Loading.")
    assert first == second == ["Loading."]


def test_a_terminal_shows_a_bar_for_each_phase() -> None:
    screen = io.StringIO()
    with Progress(console=Console(file=screen, force_terminal=True, width=100)) as progress:
        watcher = BarWatcher(progress)
        watcher.note("Loading [torch].")
        watcher.step("Warm start step", 4, 4, "loss 1.0")
        watcher.step("GRPO step", 1, 2, "reward 0.5")
        watcher.step("base answers, question", 3, 9)
        assert [task.completed for task in progress.tasks] == [4, 1, 3]
        assert progress.tasks[-1].description == "base answers, question"
    assert "Loading [torch]." in screen.getvalue()
    assert "GRPO step: reward 0.5" in screen.getvalue()


def test_a_folder_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "lock", wait_seconds=0, busy=""),
        pytest.raises(PipelineError, match=f"held by {os.getpid()}"),
        exclusive(tmp_path / "lock", wait_seconds=0.3, busy="held by {holder}"),
    ):
        pytest.fail("two processes held one lock")
    with exclusive(tmp_path / "lock", wait_seconds=0, busy=""):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
@pytest.mark.parametrize("launcher", LAUNCHERS.values(), ids=list(LAUNCHERS))
def test_a_process_ends_with_the_launcher_that_started_it(launcher: str) -> None:
    command = [sys.executable, "-c", launcher, SLEEPER]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as launching:
        assert launching.stderr is not None
        orphan = int(launching.stderr.readline())
        launching.send_signal(signal.SIGKILL)
    status = Path(f"/proc/{orphan}/stat")
    deadline = time.monotonic() + 10
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.02)
