from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.config import Settings
from grpo_pipeline.instance import instance_file
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.e2e.deployment import Deployment, start, stop
from grpo_pipeline_tests.postgres_fixtures import Server
from grpo_pipeline_tests.project import SMALL
from grpo_pipeline_tests.weekly_feedback import add_edits

FIRST_WEEK = "2026-09-07"
# Weeks with enough pairs, and one between them that has nearly none.
WEEKS = {"2026-09-07": 45, "2026-09-14": 3, "2026-09-21": 40, "2026-09-28": 40, "2026-10-05": 40}
# The project's own dagster.yaml, but with waits that suit a test.
QUICKER = {
    "free_slots_after_run_end_seconds: 30": "free_slots_after_run_end_seconds: 3",
    "poll_interval_seconds: 15": "poll_interval_seconds: 3",
}


@dataclass(frozen=True)
class Live:
    """A deployment and the project it works on."""

    dagster: Deployment
    home: Path
    url: str

    @property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.home / "artifacts")

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.url)


@pytest.fixture(scope="session")
def live(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The webserver and the daemon on a project with some weeks of feedback, nothing of it extracted."""
    with postgres_server.fresh_database("migrated") as url:
        for week, pairs in WEEKS.items():
            add_edits(url, Week(week), pairs)
        home = tmp_path_factory.mktemp("live")
        with deployed(home, url, FIRST_WEEK, {}) as (deployment, _):
            yield Live(deployment, home, url)


def environment_of(home: Path, url: str, first_week: str, more: Mapping[str, str]) -> dict[str, str]:
    """What a deployment is started with: a project on a database, on an instance of its own."""
    dagster_home = home / "instance"
    dagster_home.mkdir()
    text = instance_file().read_text(encoding="utf-8")
    for usual, quick in QUICKER.items():
        assert usual in text
        text = text.replace(usual, quick)
    (dagster_home / "dagster.yaml").write_text(text, encoding="utf-8")
    return {
        **SMALL,
        "GRPO_HOME": str(home),
        "GRPO_DATABASE_URL": url,
        "GRPO_FIRST_WEEK": first_week,
        "DAGSTER_HOME": str(dagster_home),
        **more,
    }


@contextmanager
def deployed(
    home: Path, url: str, first_week: str, more: Mapping[str, str]
) -> Iterator[tuple[Deployment, dict[str, str]]]:
    """The webserver, the daemon and the HTTP API on a database, and the environment that they were started in."""
    environment = environment_of(home, url, first_week, more)
    deployment = start(home, environment)
    try:
        yield deployment, environment
    finally:
        stop(deployment)


def settings_of(live: Live) -> Settings:
    return Settings(home=live.home, database_url=live.url, first_week=FIRST_WEEK)
