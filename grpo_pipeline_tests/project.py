"""A whole project for tests: its own home, a fresh database, and models small enough for two cores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.registry.registry import ModelRegistry

FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
SMALL = {
    "GRPO_TRAINING__PROFILE": "tiny",
    "GRPO_TRAINING__MAX_COMPLETION_TOKENS": "48",
    # A model that knows nothing has little to learn from its own answers; it is trained all the same.
    "GRPO_TRAINING__PREFLIGHT_MIN_USEFUL": "0",
    # Its own test makes one; here it would only cost the time to start a process.
    "GRPO_TRAINING__REWARD_WEIGHTS": '{"reward_model": 0}',
    "GRPO_DATASET__MIN_NEW_PAIRS": "20",
    "GRPO_DATASET__HELD_OUT_FRACTION": "0.3",
    "GRPO_EVALUATION__MAX_PAIRS": "8",
    "GRPO_EVALUATION__MIN_PAIRS": "2",
    "GRPO_EVALUATION__MIN_CONTRIBUTORS": "2",
    "GRPO_EVALUATION__MAX_NEW_TOKENS": "8",
    "GRPO_EVALUATION__REGRESSION_ITEMS": "2",
    "GRPO_EVALUATION__ANSWERS_PER_PROMPT": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Project:
    """Where a test's project is, and its instance."""

    home: Path
    url: str
    instance: dg.DagsterInstance

    @property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.home / "artifacts")

    @property
    def store(self) -> FeedbackStore:
        return FeedbackStore(self.url)

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.url)

    def run(self, job: str, *weeks: str, run_config: dict[str, Any] | None = None) -> dg.ExecuteInProcessResult:
        """Run a job on one week, or on a range of weeks in one run."""
        from grpo_pipeline.definitions import defs

        tags = {FIRST: weeks[0], LAST: weeks[-1]} if len(weeks) > 1 else {"dagster/partition": weeks[0]}
        return defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False, run_config=run_config
        )

    def materialized(self, asset: str) -> set[str]:
        """The weeks of an asset that Dagster knows as materialized."""
        return self.instance.get_materialized_partitions(dg.AssetKey(asset))

    def manifest(self, asset: str, week: str) -> dict[str, Any]:
        """The current manifest of an asset's week."""
        return self.artifacts.require(asset, week).manifest


def failure_texts(result: dg.ExecuteInProcessResult) -> list[str]:
    """The sentences with which the steps of a run failed."""
    failed: Sequence[dg.DagsterEvent] = [event for event in result.all_events if event.is_step_failure]
    data = [event.step_failure_data.user_failure_data for event in failed]
    return [str(item.description) for item in data if item]


@pytest.fixture
def project(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project on an empty, migrated database."""
    home = tmp_path / "home"
    for name, value in {**SMALL, "GRPO_HOME": str(home), "GRPO_DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "dagster")) as instance:
        yield Project(home, database_url, instance)
