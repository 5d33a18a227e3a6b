import json
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import psutil
import pytest

from grpo_pipeline.resources import trainer as trainer_module
from grpo_pipeline.resources.process_guard import EXIT_LOCKED
from grpo_pipeline.resources.trainer import Launcher, Trainer, build_command, failure

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a program as the training module, in a step with the real Pipes client."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(trainer_module, "RETRY_SECONDS", 0)

    def run(program: str, config: dict[str, object] | None = None, launcher: Launcher = "python") -> object:
        (tmp_path / "fake_training.py").write_text(textwrap.dedent(program))
        folder = tmp_path / "working"
        folder.mkdir(exist_ok=True)

        @dg.asset
        def policy(context: dg.AssetExecutionContext, trainer: Trainer) -> dg.MaterializeResult[None]:
            trainer.run(context, "fake_training", config or {}, folder)
            return dg.MaterializeResult()

        instance = dg.DagsterInstance.local_temp(str(tmp_path))
        processes = 2 if launcher == "torchrun" else 1
        trainer = Trainer(launcher=launcher, processes=processes)
        return dg.materialize([policy], resources={"trainer": trainer}, instance=instance, raise_on_error=False)

    return run


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    data = next(event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert data.user_failure_data is not None
    return str(data.user_failure_data.description)


@pytest.mark.parametrize("launcher", ["python", "accelerate", "torchrun"])
def test_the_command_is_this_python_running_the_module_on_the_config_file(launcher: Launcher) -> None:
    command = build_command("grpo_pipeline.training", Path("/w/run.json"), launcher, 4)
    assert command[0] == sys.executable
    assert command[-4:] == ["-m", "grpo_pipeline.training", "--config", "/w/run.json"]
    assert ("4" in command) == (launcher != "python")


def test_the_config_arrives_as_a_file_and_progress_streams_into_the_event_log(run: Run, tmp_path: Path) -> None:
    result = run(
        """
        import json, os, sys
        from dagster_pipes import open_dagster_pipes
        config = json.load(open(sys.argv[2]))
        with open_dagster_pipes() as pipes:
            pipes.log.info("step %d of %d" % (1, config["steps"]))
        open(config["output"], "w").write(os.environ["PYTHONUNBUFFERED"])
        """,
        {"steps": 7, "output": str(tmp_path / "out")},
    )
    assert result.success
    assert (tmp_path / "out").read_text() == "1"
    instance = dg.DagsterInstance.local_temp(str(tmp_path))
    assert "step 1 of 7" in [entry.user_message for entry in instance.all_logs(result.run_id)]


def test_the_trainers_own_sentence_becomes_the_failure(run: Run) -> None:
    result = run(
        """
        import sys
        print("some traceback that may quote anything", file=sys.stderr)
        print("Error: The loss is not finite at step 3: lower GRPO_TRAINING__LEARNING_RATE.", file=sys.stderr)
        print("a warning on the way out", file=sys.stderr)
        sys.exit(1)
        """
    )
    assert failure_of(result) == "The loss is not finite at step 3: lower GRPO_TRAINING__LEARNING_RATE."


def test_an_unexpected_end_points_to_the_logs_and_quotes_nothing(run: Run) -> None:
    description = failure_of(run("raise ValueError('what a user wrote')"))
    assert "exit code 1" in description
    assert "user wrote" not in description


def test_only_what_a_person_has_to_put_right_is_not_tried_again() -> None:
    assert not failure("grpo_pipeline.training", 1, "The loss is not finite.").allow_retries
    assert all(failure("grpo_pipeline.training", code, None).allow_retries for code in (1, EXIT_LOCKED, 137))
    assert "SIGKILL" in str(failure("grpo_pipeline.training", 128 + signal.SIGKILL, None).description)
    assert "still stopping" in str(failure("grpo_pipeline.training", EXIT_LOCKED, None).description)


@pytest.mark.slow
def test_torchrun_starts_several_workers_on_one_config(run: Run, tmp_path: Path) -> None:
    program = """
        import json, os, sys
        folder = json.load(open(sys.argv[2]))["folder"]
        open(folder + "/rank" + os.environ["RANK"], "w").close()
        """
    assert run(program, {"folder": str(tmp_path)}, "torchrun").success
    assert {path.name for path in tmp_path.glob("rank*")} == {"rank0", "rank1"}


def test_an_interrupted_step_leaves_no_process_behind(run: Run, tmp_path: Path) -> None:
    program = """
        import json, os, subprocess, sys, time
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        json.dump([os.getpid(), worker.pid], open(sys.argv[2] + ".pids", "w"))
        time.sleep(600)
        """
    pids = tmp_path / "working" / "run.json.pids"

    def interrupt() -> None:
        while not (pids.exists() and pids.read_text().endswith("]")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert not run(program).success
    assert not [pid for pid in json.loads(pids.read_text()) if psutil.pid_exists(pid)]
