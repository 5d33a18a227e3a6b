"""The demo command, end to end, with a tiny model in place of the small one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.postgres.embedded import EmbeddedPostgres

SMALL = {
    "GRPO_TRAINING__PROFILE": "tiny",
    "GRPO_TRAINING__STEPS": "2",
    "GRPO_TRAINING__WARM_START_STEPS": "2",
    # One token a byte, and corrections of up to about 200 bytes.
    "GRPO_TRAINING__MAX_COMPLETION_TOKENS": "256",
    "GRPO_EVALUATION__MAX_PAIRS": "24",
    "GRPO_EVALUATION__ANSWERS_PER_PROMPT": "1",
    "GRPO_EVALUATION__MAX_NEW_TOKENS": "8",
    "GRPO_EVALUATION__MAX_PROMPT_TOKENS": "2048",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Demo:
    home: Path

    def run(self, **extra: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GRPO_", "DAGSTER_"))}
        return subprocess.run(
            [sys.executable, "-m", "grpo_pipeline", "demo"],
            env={**inherited, **SMALL, "GRPO_HOME": str(self.home), "COLUMNS": "200", **extra},
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
        )

    def published(self) -> dict[tuple[str, str], str]:
        """Hash by asset and week."""
        store = ArtifactStore(self.home / "artifacts")
        assets = ("agent_feedback", "curated_pairs", "preference_dataset", "grpo_policy", "policy_evaluation")
        return {(asset, week): store.require(asset, week).hash for asset in assets for week in store.weeks(asset)}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("demo")
    yield Demo(home)
    EmbeddedPostgres(home / "postgres").stop()


@pytest.mark.slow
def test_the_demo_ends_with_a_verdict_and_running_it_again_changes_nothing(demo: Demo) -> None:
    first = demo.run()
    assert first.returncode == 0, first.stderr[-2000:]
    for part in ("12, from", "training pairs", "near_duplicate", "verdict", "preference accuracy", "make dev"):
        assert part in first.stdout
    made = demo.published()
    assert sum(asset == "preference_dataset" for asset, _ in made) == 12

    again = demo.run()
    assert again.returncode == 0, again.stderr[-2000:]
    assert demo.published() == made
    assert "Loading torch" not in again.stdout


def test_the_demo_keeps_away_from_a_database_of_your_own(tmp_path: Path) -> None:
    refused = Demo(tmp_path).run(GRPO_DATABASE_URL="postgresql://somebody@db.example.com/feedback")
    assert refused.returncode == 1
    assert "GRPO_DATABASE_URL" in refused.stderr
    assert "Traceback" not in refused.stderr
