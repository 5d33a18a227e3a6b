"""Runs as the daemon makes them: a backfill with a bad week, a cancelled run, a killed worker and its retry."""

from __future__ import annotations

import json
import signal

import psutil
import pytest

from grpo_pipeline_tests.e2e.conftest import WEEKS, Live
from grpo_pipeline_tests.e2e.deployment import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
GOOD, BAD, CANCELLED, KILLED = "2026-09-07", "2026-09-14", "2026-09-21", "2026-09-28"
DATA = ["agent_feedback", "preference_pairs", "curated_pairs", "preference_dataset"]
MODELS = ["grpo_policy", "policy_evaluation", "champion"]
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


def trainers(live: Live) -> list[psutil.Process]:
    return live.dagster.children("grpo_pipeline.training", "--config")


def checkpoints(live: Live, week: str) -> list[str]:
    return [str(path) for path in (live.artifacts.root / ".working").glob(f"grpo_policy-{week}-*/**/whole")]


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


def test_a_killed_worker_takes_its_trainer_along_and_the_retry_makes_the_same_policy(live: Live) -> None:
    run = live.dagster.launch("weekly_training_job", KILLED)
    wait_until("a checkpoint was written", lambda: checkpoints(live, KILLED), 240)
    family = trainers(live)
    worker = psutil.Process(family[0].pid).parent().parent()
    assert worker is not None
    worker.send_signal(signal.SIGKILL)
    wait_until("the run is over", lambda: live.dagster.status(run) in OVER, 120)
    assert live.dagster.status(run) == "FAILURE"
    wait_until("no trainer is left", lambda: not any(item.is_running() for item in family), 60)
    wait_until("the daemon tries again", lambda: retries_of(live, run), 120)
    retry = retries_of(live, run)[0]
    wait_until("the retry is over", lambda: live.dagster.status(retry) in OVER, 400)
    assert live.dagster.status(retry) == "SUCCESS"
    wait_until("the slot is free", live.dagster.pool_is_free, 60)
    interrupted = live.artifacts.require("grpo_policy", KILLED)
    assert [row["step"] for row in metrics_of(live)] == sorted(row["step"] for row in metrics_of(live))
    assert interrupted.manifest["trained"]


def metrics_of(live: Live) -> list[dict[str, object]]:
    path = live.artifacts.require("grpo_policy", KILLED).path / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if "reward" in row]


def retries_of(live: Live, run: str) -> list[str]:
    return [item["runId"] for item in live.dagster.runs() if item["tags"].get("dagster/parent_run_id") == run]
