from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import polars as pl
import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.working import (
    remove_attempts_on,
    remove_finished,
    remove_left_drafts,
    work_key,
    working_folder,
)

WEEK = "2026-10-05"


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def attempt(artifacts: ArtifactStore, key: str, pair: str) -> Path:
    folder = working_folder(artifacts, "grpo_policy", WEEK, key)
    (folder / "output").mkdir()
    pl.DataFrame({"pair_id": [pair], "completion": ["words"]}).write_parquet(folder / "output" / "samples.parquet")
    return folder


def test_the_same_work_has_the_same_folder_and_any_other_input_another(artifacts: ArtifactStore) -> None:
    assert work_key("data", {"a": 1, "b": 2}) == work_key("data", {"b": 2, "a": 1})
    assert work_key("data", {"a": 1}) != work_key("data", {"a": 2})
    assert attempt(artifacts, "key", "p1") == working_folder(artifacts, "grpo_policy", WEEK, "key")


def test_publishing_a_week_removes_all_attempts_on_it_and_no_other(artifacts: ArtifactStore) -> None:
    done, abandoned = attempt(artifacts, "1", "p1"), attempt(artifacts, "2", "p1")
    other = working_folder(artifacts, "grpo_policy", "2026-10-12", "1")
    remove_finished(done)
    assert (done.exists(), abandoned.exists(), other.exists()) == (False, False, True)


def test_attempts_that_hold_a_deleted_pair_go_unless_they_are_at_work(artifacts: ArtifactStore) -> None:
    gone, kept, busy = (attempt(artifacts, key, pair) for key, pair in (("1", "p1"), ("2", "p2"), ("3", "p1")))
    with (busy / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove_attempts_on(artifacts, {"p1"}) == 1
    assert (gone.exists(), kept.exists(), busy.exists()) == (False, True, True)


def test_only_drafts_that_a_killed_process_left_are_removed(artifacts: ArtifactStore) -> None:
    left, fresh = artifacts.root / "curated_pairs" / ".draft-1", artifacts.root / "curated_pairs" / ".draft-2"
    for folder in (left, fresh):
        folder.mkdir(parents=True)
    yesterday = time.time() - 2 * 24 * 3600
    os.utime(left, (yesterday, yesterday))
    remove_left_drafts(artifacts)
    assert (left.exists(), fresh.exists()) == (False, True)
