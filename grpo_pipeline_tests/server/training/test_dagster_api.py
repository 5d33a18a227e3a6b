"""Launching through Dagster's real webserver application, with a queue from which nothing is taken."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import httpx2
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_webserver.app import create_app_from_workspace_process_context

from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.server.training.dagster_api import DagsterApi
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.server.conftest import LOCAL, Server
from grpo_pipeline_tests.weekly_feedback import add_edits

UI = "http://127.0.0.1:3000"
WEEK = "2026-10-05"
QUEUE_ONLY = {"run_coordinator": {"module": "dagster.core.run_coordinator", "class": "QueuedRunCoordinator"}}
Webserver = Callable[..., Awaitable[None]]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides=QUEUE_ONLY) as instance:
        yield instance


@pytest.fixture
def webserver(instance: dg.DagsterInstance) -> Iterator[Webserver]:
    """Dagster's webserver as an ASGI application."""
    module = LoadableTargetOrigin(executable_path=sys.executable, module_name="grpo_pipeline.definitions")
    origin = InProcessCodeLocationOrigin(module, location_name="grpo_pipeline.definitions")
    with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as context:
        yield create_app_from_workspace_process_context(context)


@asynccontextmanager
async def api_beside(webserver: Webserver, server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the API whose requests to Dagster go to that webserver."""
    app = server.app(dagster_url=UI)
    dagster = httpx2.AsyncClient(transport=httpx2.ASGITransport(webserver), timeout=60)
    api = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=LOCAL, timeout=60)
    async with dagster, api, app.router.lifespan_context(app):
        app.state.services = replace(app.state.services, dagster=DagsterApi(dagster, UI))
        yield api


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_FIRST_WEEK", WEEK)
    monkeypatch.setenv("GRPO_DATASET__MIN_NEW_PAIRS", "20")


def test_a_week_is_launched_once_and_shown_until_it_runs(
    webserver: Webserver, server: Server, instance: dg.DagsterInstance
) -> None:
    add_edits(server.url, Week(WEEK), 25)

    async def run() -> tuple[list[httpx2.Response], dict[str, Any], httpx2.Response]:
        async with api_beside(webserver, server) as api:
            body = {"week": WEEK, "profile": "tiny"}
            both = await asyncio.gather(*(api.post("/api/grpo/train", json=body) for _ in range(2)))
            started = next(answer for answer in both if answer.status_code == 202).json()
            shown = await api.get(started["statusUrl"])
            return list(both), started, shown

    both, started, shown = asyncio.run(run())
    assert sorted(answer.status_code for answer in both) == [202, 409]
    refused = next(answer for answer in both if answer.status_code == 409)
    assert started["runId"] in refused.json()["detail"]
    assert (started["week"], started["newPairs"]) == (WEEK, 25)
    assert started["url"] == f"{UI}/runs/{started['runId']}"
    assert shown.status_code == 200
    state = shown.json()
    assert (state["status"], state["week"], state["verdict"]) == ("QUEUED", WEEK, None)
    (launched,) = instance.get_runs()
    assert launched.run_id == started["runId"]
    assert launched.run_config == {"ops": {"grpo_policy": {"config": {"profile": "tiny"}}}}
    assert launched.tags["grpo/launched_by"] == "local"


def test_too_few_pairs_are_trained_on_only_when_forced(
    webserver: Webserver, server: Server, instance: dg.DagsterInstance
) -> None:
    add_edits(server.url, Week(WEEK), 3)

    async def run() -> list[httpx2.Response]:
        async with api_beside(webserver, server) as api:
            return [await api.post("/api/grpo/train", json={"week": WEEK, "force": force}) for force in (False, True)]

    refused, forced = asyncio.run(run())
    assert (refused.status_code, forced.status_code) == (409, 202)
    (launched,) = instance.get_runs()
    assert launched.run_config == {"ops": {"preference_dataset": {"config": {"min_new_pairs": 1}}}}


def test_training_on_synthetic_tool_calls_is_launched_once(
    webserver: Webserver, server: Server, instance: dg.DagsterInstance
) -> None:
    async def run() -> list[httpx2.Response]:
        async with api_beside(webserver, server) as api:
            return [await api.post("/api/grpo/train-tool-calling", json={}) for _ in range(2)]

    first, second = asyncio.run(run())
    assert (first.status_code, second.status_code) == (202, 409)
    assert (first.json()["job"], first.json()["week"]) == ("tool_calling_job", None)
    assert [run.job_name for run in instance.get_runs()] == ["tool_calling_job"]


def test_a_run_and_a_job_that_there_is_not_are_404(webserver: Webserver, server: Server) -> None:
    async def run() -> tuple[int, str]:
        async with api_beside(webserver, server) as api:
            unknown = (await api.get(f"/api/grpo/runs/{uuid.uuid4()}")).status_code
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(webserver), timeout=60) as client:
            with pytest.raises(ApiError, match="Dagster has no job tidy_up_job") as raised:
                await DagsterApi(client, UI).find_job("tidy_up_job")
        return unknown, str(raised.value.status)

    assert asyncio.run(run()) == (404, "404")
