"""Runs as the daemon makes them: a backfill with a bad week, a cancelled run, a killed worker and its retry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from grpo_pipeline_tests.e2e.conftest import WEEKS, Live
from grpo_pipeline_tests.e2e.deployment import wait_until
from grpo_pipeline_tests.project import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
GOOD, BAD, CANCELLED, KILLED = "2026-09-07", "2026-09-14", "2026-09-21", "2026-09-28"
DATA = ["agent_feedback", "preference_pairs", "curated_pairs", "preference_dataset"]
MODELS = ["grpo_policy", "policy_evaluation", "champion"]
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


def test_a_backfill_makes_the_data_of_all_weeks_in_one_run_and_trains_and_promotes_nothing_of_a_bad_week(
    live: Live,
) -> None:
    data = live.dagster.backfill(DATA, list(WEEKS))
    wait_until("the data backfill is over", lambda: live.dagster.backfill_status(data).startswith("COMPLETED"), 240)
    made = [run for run in live.dagster.runs() if run["tags"].get("dagster/backfill") == data]
    assert [run["status"] for run in made] == ["SUCCESS"]
    assert all(live.artifacts.weeks(asset) == list(WEEKS) for asset in DATA)

    models = live.dagster.backfill([*DATA, *MODELS], [GOOD, BAD])
    wait_until("the backfill is over", lambda: live.dagster.backfill_status(models).startswith("COMPLETED"), 600)
    assert live.dagster.backfill_status(models) == "COMPLETED_SUCCESS"
    assert live.artifacts.require("grpo_policy", GOOD).manifest["trained"]
    bad = live.artifacts.require("grpo_policy", BAD)
    assert not bad.manifest["trained"]
    assert "of 20 new pairs since 2026-09-07: not trained" in bad.manifest["verdict"]["reason"]
    assert not live.artifacts.require("champion", BAD).manifest["promoted"]
    assert {model.week.key for model in live.registry.list()} == {GOOD}


def test_cancelling_a_run_leaves_no_trainer_and_frees_the_pool(live: Live) -> None:
    run = live.dagster.launch("weekly_training_job", CANCELLED)
    wait_until("the trainer started", lambda: trainers(live), 180)
    family = [item for trainer in trainers(live) for item in (trainer, *trainer.children(recursive=True))]
    live.dagster.terminate(run)
    wait_until("the run is over", lambda: live.dagster.status(run) in OVER, 120)
    assert live.dagster.status(run) == "CANCELED"
    wait_until("no process is left", lambda: not any(item.is_running() for item in family), 60)
    wait_until("the slot is free", live.dagster.pool_is_free, 120)
    assert live.artifacts.latest("grpo_policy", CANCELLED) is None


def test_a_killed_trainer_goes_on_from_its_checkpoint_and_a_killed_worker_is_run_again(
    live: Live, tmp_path: Path
) -> None:
    run = live.dagster.launch("weekly_training_job", KILLED, [*DATA, "grpo_policy"])
    wait_until("a checkpoint was written", lambda: checkpoints(live, KILLED), 240)
    first = trainer_of(live)
    first.kill()
    wait_until("the step is tried again", lambda: trainers(live) and trainer_of(live).pid != first.pid, 120)

    guard = live.dagster.children("process_guard", "grpo_pipeline.training")[0]
    family = [guard, *guard.children(recursive=True)]
    worker = guard.parent()
    assert worker is not None
    worker.kill()
    wait_until("the run is over", lambda: live.dagster.status(run) in OVER, 120)
    assert live.dagster.status(run) == "FAILURE"
    wait_until("no trainer is left", lambda: not any(item.is_running() for item in family), 60)

    wait_until("the daemon runs it again", lambda: retries_of(live, run), 120)
    retry = retries_of(live, run)[0]
    wait_until("the retry is over", lambda: live.dagster.status(retry) in OVER, 400)
    assert live.dagster.status(retry) == "SUCCESS"
    wait_until("the slot is free", live.dagster.pool_is_free, 60)
    made = live.artifacts.require("grpo_policy", KILLED).manifest["adapter_sha256"]
    assert made == trained_undisturbed(live, KILLED, tmp_path)


def trainers(live: Live) -> list[psutil.Process]:
    """The training processes, without the guards that watch over them."""
    guards = {guard.pid for guard in live.dagster.children("process_guard")}
    return [item for item in live.dagster.children("grpo_pipeline.training", "--config") if item.pid not in guards]


def trainer_of(live: Live) -> psutil.Process:
    return trainers(live)[0]


def checkpoints(live: Live, week: str) -> list[Path]:
    return list((live.artifacts.root / ".working").glob(f"grpo_policy-{week}-*/**/whole"))


def retries_of(live: Live, run: str) -> list[str]:
    return [item["runId"] for item in live.dagster.runs() if item["tags"].get("dagster/parent_run_id") == run]


def trained_undisturbed(live: Live, week: str, folder: Path) -> str:
    """The adapter's hash when the same training runs to its end at once."""
    config = {
        "dataset_dir": str(live.artifacts.require("preference_dataset", week).path),
        "output_dir": str(folder / "output"),
        "home": str(live.home),
        "settings": {"profile": "tiny", "max_completion_tokens": int(SMALL["GRPO_TRAINING__MAX_COMPLETION_TOKENS"])},
    }
    (folder / "run.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-m", "grpo_pipeline.training", "--config", str(folder / "run.json")]
    subprocess.run(command, env={**os.environ, **SMALL}, check=True, capture_output=True, timeout=300)
    return str(json.loads((folder / "output" / "manifest.json").read_text(encoding="utf-8"))["adapter_sha256"])
