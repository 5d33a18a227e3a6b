from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.server.training.launching import plan_training, week_asked_for
from grpo_pipeline.server.training.progress import run_answer
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.postgres_fixtures import free_port
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.tokens import bearer
from grpo_pipeline_tests.weekly_feedback import add_edits

FIRST, NEXT = "2026-10-05", "2026-10-12"


@pytest.fixture
def local(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("GRPO_FIRST_WEEK", FIRST)
    monkeypatch.setenv("GRPO_DATASET__MIN_NEW_PAIRS", "20")
    with server.client(dagster_url=f"http://127.0.0.1:{free_port()}") as client:
        yield client


@pytest.mark.parametrize(
    ("week", "said"),
    [
        ("2026-10-06", "weeks start on Mondays"),
        ("2026-13-45", "is not a week"),
        ("2025-01-06", "lies before the first week"),
        ("2099-01-05", "is not complete"),
        ("last week'; --", None),
    ],
)
def test_a_week_that_there_is_not_is_refused(local: TestClient, week: str, said: str | None) -> None:
    answer = local.post("/api/grpo/train", json={"week": week})
    assert answer.status_code == 422
    assert said is None or said in answer.json()["detail"]


def test_a_week_with_too_few_new_pairs_is_refused_with_the_count(local: TestClient, server: Server) -> None:
    add_edits(server.url, Week(FIRST), 3)
    answer = local.post("/api/grpo/train", json={"week": FIRST})
    assert answer.status_code == 409
    assert "3 of 20 new pairs" in answer.json()["detail"]


def test_a_dagster_that_does_not_answer_is_named(local: TestClient, server: Server) -> None:
    add_edits(server.url, Week(FIRST), 25)
    for answer in (
        local.post("/api/grpo/train", json={"week": FIRST}),
        local.post("/api/grpo/train-tool-calling", json={}),
        local.get(f"/api/grpo/runs/{uuid.uuid4()}"),
    ):
        assert answer.status_code == 503
        assert "grpo-pipeline dev" in answer.json()["detail"]


def test_a_week_is_planned_with_what_was_asked_for(server: Server) -> None:
    add_edits(server.url, Week(FIRST), 5)
    settings = Settings(home=server.home, database_url=server.url, first_week=FIRST)
    with pytest.raises(ApiError, match="5 of 100 new pairs"):
        plan_training(settings, server.url, Week(FIRST), None, force=False)
    plan = plan_training(settings, server.url, Week(FIRST), "tiny", force=True)
    assert (plan.job, plan.tags, plan.new_pairs) == ("weekly_training_job", {"dagster/partition": FIRST}, 5)
    ops = plan.config["ops"]
    assert ops["grpo_policy"]["config"] == {"profile": "tiny"}
    assert ops["preference_dataset"]["config"] == {"min_new_pairs": 1}


def test_earlier_weeks_that_changed_come_first(server: Server) -> None:
    add_edits(server.url, Week(FIRST), 30)
    settings = Settings(home=server.home, database_url=server.url, first_week=FIRST)
    plan = plan_training(settings, server.url, Week(NEXT), None, force=True)
    assert (plan.job, plan.tags) == ("data_job", {"dagster/partition": FIRST})
    assert plan.message.startswith("1 earlier week changed")


def test_without_a_week_it_is_the_last_complete_one() -> None:
    settings = Settings(first_week=FIRST)
    assert week_asked_for(settings, None) == settings.complete_weeks()[-1]
    with pytest.raises(ApiError, match="No week is complete yet"):
        week_asked_for(Settings(first_week="2099-01-05"), None)
    with pytest.raises(PipelineError):
        Week("2026-10-06")


def test_only_administrators_launch(server: Server) -> None:
    keys = {kind: create_key(server.url, kind, "test") for kind in ("app", "model")}
    with server.client() as client:
        for key in keys.values():
            for path in ("/api/grpo/train", "/api/grpo/train-tool-calling"):
                assert client.post(path, json={}, headers=bearer(key)).status_code == 403
            assert client.get(f"/api/grpo/runs/{uuid.uuid4()}", headers=bearer(key)).status_code == 403


def run_of(began: float, **changed: object) -> dict[str, Any]:
    step = {"stepKey": "grpo_policy", "status": "IN_PROGRESS", "startTime": began, "endTime": None}
    done = {"stepKey": "preference_dataset", "status": "SUCCESS", "startTime": began, "endTime": began + 2}
    usual = {
        "runId": str(uuid.uuid4()),
        "jobName": "weekly_training_job",
        "status": "STARTED",
        "tags": [{"key": "dagster/partition", "value": FIRST}],
        "startTime": began,
        "endTime": None,
        "stepKeysToExecute": ["preference_dataset", "grpo_policy", "champion"],
        "stepStats": [done, step],
    }
    return {**usual, **changed}


def test_a_run_at_work_shows_its_steps_and_the_metrics_that_are_whole(tmp_path: Path) -> None:
    work = tmp_path / ".working" / f"grpo_policy-{FIRST}-abc" / "output"
    work.mkdir(parents=True)
    row = {"phase": "GRPO", "step": 3, "seconds": 1.5, "reward": 0.5, "loss": None}
    (work / "metrics.jsonl").write_text(json.dumps(row) + '\n{"phase": "GR')
    answer = run_answer(run_of(time.time() - 5), ArtifactStore(tmp_path), "http://ui")
    assert [(step.name, step.status) for step in answer.steps] == [
        ("preference_dataset", "done"),
        ("grpo_policy", "running"),
        ("champion", "waiting"),
    ]
    assert answer.progress == pytest.approx(1 / 3)
    assert [(row.phase, row.step, row.values) for row in answer.metrics] == [("GRPO", 3, {"reward": 0.5})]
    assert answer.verdict is None


def test_metrics_of_an_earlier_run_are_not_taken_for_this_one(tmp_path: Path) -> None:
    work = tmp_path / ".working" / f"grpo_policy-{FIRST}-abc" / "output"
    work.mkdir(parents=True)
    (work / "metrics.jsonl").write_text(json.dumps({"phase": "GRPO", "step": 3}))
    os.utime(work / "metrics.jsonl", (time.time() - 100,) * 2)
    assert run_answer(run_of(time.time() - 5), ArtifactStore(tmp_path), "http://ui").metrics == []


def test_a_run_that_never_began_has_nothing_to_show_yet(tmp_path: Path) -> None:
    queued = run_of(0, status="QUEUED", startTime=None, stepStats=[], stepKeysToExecute=None, tags=[])
    answer = run_answer(queued, ArtifactStore(tmp_path), "http://ui")
    assert (answer.steps, answer.progress, answer.metrics, answer.verdict) == ([], 0.0, [], None)
