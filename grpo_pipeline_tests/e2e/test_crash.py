"""A machine that stops in the middle of a run, and what the daemon makes of it when it is back."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.e2e.conftest import environment_of
from grpo_pipeline_tests.e2e.deployment import Deployment, start, stop, wait_until
from grpo_pipeline_tests.postgres_fixtures import Server
from grpo_pipeline_tests.weekly_feedback import add_edits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WEEK = "2026-09-07"
ASSETS = ["agent_feedback", "preference_pairs", "curated_pairs", "preference_dataset", "reward_model", "grpo_policy"]
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


def test_a_run_that_a_crash_cut_off_is_failed_and_run_again_when_the_daemon_is_back(
    postgres_server: Server, tmp_path: Path
) -> None:
    with postgres_server.fresh_database("migrated") as url:
        add_edits(url, Week(WEEK), 45)
        environment = environment_of(tmp_path, url, WEEK, {})
        before = start(tmp_path, environment)
        try:
            run = before.launch("weekly_training_job", WEEK, ASSETS)
            wait_until("the trainer started", lambda: before.children("grpo_pipeline.training", "--config"), 120)
        finally:
            crash(before)
        after = start(tmp_path, environment)
        try:
            wait_until("the daemon saw that the run is lost", lambda: after.status(run) in OVER, 60)
            assert after.status(run) == "FAILURE"
            wait_until("the daemon runs it again", lambda: retry_of(after, run), 60)
            wait_until("the retry is over", lambda: after.status(retry_of(after, run)) in OVER, 300)
            assert after.status(retry_of(after, run)) == "SUCCESS"
            wait_until("the slot is free", after.pool_is_free, 60)
        finally:
            stop(after)
    assert ArtifactStore(tmp_path / "artifacts").latest("grpo_policy", WEEK) is not None


def crash(deployment: Deployment) -> None:
    """Kill every process of a deployment, before one of them can say a word."""
    family = psutil.Process(deployment.process.pid)
    processes = [family, *family.children(recursive=True)]
    for process in processes:
        process.suspend()
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=30)
    deployment.process.wait(timeout=30)


def retry_of(deployment: Deployment, run: str) -> str:
    """The id of the run that was started in a run's stead; empty as long as there is none."""
    retries = [item["runId"] for item in deployment.runs() if item["tags"].get("dagster/parent_run_id") == run]
    return str(retries[0]) if retries else ""
