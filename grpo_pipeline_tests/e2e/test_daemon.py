"""Runs as the daemon makes them: a backfill with a bad week, a cancelled run, a killed worker and its retry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from grpo_pipeline_tests.e2e.conftest import WEEKS, Live
from grpo_pipeline_tests.e2e.deployment import wait_until
from grpo_pipeline_tests.project import SMALL
from grpo_pipeline_tests.weekly_feedback import delete_feedback

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
GOOD, BAD, CANCELLED, KILLED = "2026-09-07", "2026-09-14", "2026-09-21", "2026-09-28"
DATA = ["agent_feedback", "preference_pairs", "curated_pairs", "preference_dataset"]
MODELS = ["reward_model", "grpo_policy", "policy_evaluation", "champion"]
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


def test_a_backfill_makes_the_data_of_all_weeks_in_one_run_and_trains_and_promotes_nothing_of_a_bad_week(
    live: Live,
) -> None:
    made = data_of_all_weeks(live)
    assert [run["status"] for run in made] == ["SUCCESS"]
    assert all(set(live.artifacts.weeks(asset)) >= set(WEEKS) for asset in DATA)

    models = live.dagster.backfill([*DATA, *MODELS], [GOOD, BAD])
    wait_until("the backfill is over", lambda: live.dagster.backfill_status(models).startswith("COMPLETED"), 600)
    assert live.dagster.backfill_status(models) == "COMPLETED_SUCCESS"
    assert live.artifacts.require("grpo_policy", GOOD).manifest["trained"]
    bad = live.artifacts.require("grpo_policy", BAD)
    assert not bad.manifest["trained"]
    assert "of 20 new pairs since 2026-09-07: not trained" in bad.manifest["verdict"]["reason"]
    assert not live.artifacts.require("champion", BAD).manifest["promoted"]
    assert {model.week.key for model in live.registry.list()} == {GOOD}


def data_of_all_weeks(live: Live) -> list[dict[str, Any]]:
    """Backfill the data assets of all weeks and return the runs that this took."""
    data = live.dagster.backfill(DATA, list(WEEKS))
    wait_until("the data backfill is over", lambda: live.dagster.backfill_status(data).startswith("COMPLETED"), 240)
    return [run for run in live.dagster.runs() if run["tags"].get("dagster/backfill") == data]


def test_the_http_api_runs_beside_the_ui(live: Live) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{live.dagster.api_port}/readyz", timeout=10) as answer:
        assert json.load(answer) == {"status": "ok"}


def test_a_deleted_row_is_found_by_the_sensor_and_leaves_every_week_made_from_it(live: Live) -> None:
    if not set(live.artifacts.weeks("preference_dataset")) >= set(WEEKS):
        data_of_all_weeks(live)
    feedback = pl.read_parquet(live.artifacts.require("agent_feedback", GOOD).path / "feedback.parquet")
    doomed = feedback.row(0, named=True)
    assert doomed["prompt"] in all_texts(live, GOOD)
    delete_feedback(live.url, [doomed["id"]])
    live.dagster.turn_on("late_feedback_sensor")
    wait_until("the sensor asks for a run", lambda: refreshes(live), 120)
    wait_until("the weeks are extracted again", lambda: refreshes(live)[0]["status"] in OVER, 240)
    assert refreshes(live)[0]["status"] == "SUCCESS"
    assert refreshes(live)[0]["tags"]["dagster/asset_partition_range_start"] == GOOD
    assert not [week for week in WEEKS if doomed["prompt"] in all_texts(live, week)]


def refreshes(live: Live) -> list[dict[str, Any]]:
    return [run for run in live.dagster.runs() if "grpo/stale_weeks" in run["tags"]]


def all_texts(live: Live, week: str) -> str:
    """Everything that the data assets of a week hold, as one text."""
    files = [path for asset in DATA for path in live.artifacts.require(asset, week).path.glob("*.parquet")]
    return "".join(str(pl.read_parquet(path).to_dicts()) for path in files)


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
    run = live.dagster.launch("weekly_training_job", KILLED, [*DATA, "reward_model", "grpo_policy"])
    wait_until("a checkpoint was written", lambda: checkpoints(live, KILLED), 240)
    first = trainers(live)[0]
    first.kill()
    wait_until("the step is tried again", lambda: [item for item in trainers(live) if item.pid != first.pid], 120)

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
