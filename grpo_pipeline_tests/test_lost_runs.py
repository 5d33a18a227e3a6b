from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from grpo_pipeline.lost_runs import LOST, end_lost_runs, pool_users
from grpo_pipeline_tests.pool_holder import POOL, begin

STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text("concurrency: {pools: {default_limit: 1, granularity: op}}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def test_a_run_whose_process_was_killed_fails_and_gives_its_slot_back(instance: dg.DagsterInstance) -> None:
    process, run = begin(instance)
    try:
        assert end_lost_runs(instance) == []
        assert [user.run_id for user in pool_users(instance, {POOL})] == [run.run_id]
    finally:
        process.kill()
        process.wait()
    assert end_lost_runs(instance) == [run.run_id]
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status == FAILURE
    assert LOST in [entry.message for entry in instance.all_logs(run.run_id)]
    assert pool_users(instance, {POOL}) == []
    assert end_lost_runs(instance) == []


def test_a_run_of_another_machine_is_left_alone(instance: dg.DagsterInstance) -> None:
    process, run = begin(instance, "another-machine")
    process.kill()
    process.wait()
    assert end_lost_runs(instance) == []
    left = instance.get_run_by_id(run.run_id)
    assert left is not None
    assert left.status == STARTED


def test_a_slot_that_a_finished_run_left_behind_is_freed(instance: dg.DagsterInstance) -> None:
    process, run = begin(instance)
    process.kill()
    process.wait()
    instance.report_run_failed(run)
    assert instance.event_log_storage.get_concurrency_info(POOL).claimed_slots
    assert pool_users(instance, {POOL}) == []
    assert not instance.event_log_storage.get_concurrency_info(POOL).claimed_slots


def test_a_later_process_with_the_same_id_is_not_the_run(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, run = begin(instance)
    try:
        started = time.time()
        monkeypatch.setattr("psutil.Process.create_time", lambda _: started + 3600)
        assert end_lost_runs(instance) == [run.run_id]
    finally:
        process.kill()
        process.wait()
