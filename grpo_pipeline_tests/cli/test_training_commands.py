from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import dagster as dg
import psutil
import pytest

from grpo_pipeline.config import load_settings
from grpo_pipeline.instance import open_instance
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.pool_holder import begin
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.weekly_feedback import add_edits

FIRST, SECOND = "2026-10-05", "2026-10-12"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grpo_pipeline", *arguments], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "--week", "2026-10-06"],
            "2026-10-06 is a Tuesday; weeks start on Mondays. Did you mean 2026-10-05?",
        ),
        (["train", "--week", "soon"], "'soon' is not a week"),
        (["train", "--week", "2031-01-06"], "Week 2031-01-06 is not complete"),
        (["train", "--week", "2020-01-06"], "lies before the first week 2026-01-05"),
        (["backfill", "--from", SECOND, "--to", FIRST], f"--from {SECOND} lies after --to {FIRST}"),
    ],
)
def test_a_week_that_cannot_be_made_is_one_clear_sentence(project: Project, arguments: list[str], said: str) -> None:
    result = command(*arguments)
    assert result.returncode == 1
    assert said in result.stderr.replace("\n", " ")
    assert not project.artifacts.root.exists()


def test_a_backfill_makes_all_weeks_in_one_run_that_the_ui_shows_and_ends_with_a_table(project: Project) -> None:
    add_edits(project.url, Week(FIRST), 6)
    add_edits(project.url, Week(SECOND), 5)
    result = command("backfill", "--from", FIRST, "--to", SECOND)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("not trained") >= 2
    assert f"{FIRST}" in result.stdout
    assert "of 20 new pairs: not trained" in result.stdout
    with dg.DagsterInstance.from_config(str(project.home / "dagster")) as instance:
        runs = [(run.job_name, run.status) for run in instance.get_runs()]
        made = instance.get_materialized_partitions(dg.AssetKey("champion"))
    done = dg.DagsterRunStatus.SUCCESS
    assert sorted(runs) == [("data_job", done), ("weekly_training_job", done), ("weekly_training_job", done)]
    assert made == {FIRST, SECOND}


def test_what_fails_is_said_in_its_own_sentence_and_ends_with_exit_code_1(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.home.mkdir()
    (project.home / "file").write_text("in the way")
    monkeypatch.setenv("GRPO_ARTIFACT_ROOT", str(project.home / "file"))
    result = command("backfill", "--from", FIRST, "--to", FIRST, "--data-only")
    assert result.returncode == 1
    assert "cannot be written" in result.stderr
    assert "GRPO_ARTIFACT_ROOT" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_that_was_killed_does_not_hold_up_the_next_command(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(project.home / "dagster"))
    add_edits(project.url, Week(FIRST), 6)
    with open_instance(load_settings()) as instance:
        process, run = begin(instance)
        process.kill()
        process.wait()
        result = command("train", "--week", FIRST)
        assert result.returncode == 0, result.stderr
        assert "not trained" in result.stdout
        killed = instance.get_run_by_id(run.run_id)
    assert killed is not None
    assert killed.status == dg.DagsterRunStatus.FAILURE


@pytest.mark.slow
def test_an_interrupted_training_leaves_no_process_and_says_how_to_go_on(project: Project) -> None:
    add_edits(project.url, Week(FIRST), 60)
    process = subprocess.Popen(
        [sys.executable, "-m", "grpo_pipeline", "train", "--week", FIRST],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not (family := trainers(process.pid)):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 130, errors
    assert "run the same command again" in errors
    assert not [item for item in family if item.is_running() and item.status() != psutil.STATUS_ZOMBIE]


def trainers(root: int) -> list[psutil.Process]:
    family = psutil.Process(root).children(recursive=True)
    return [item for item in family if "grpo_pipeline.training" in item.cmdline()]
