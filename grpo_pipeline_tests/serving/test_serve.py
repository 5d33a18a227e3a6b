"""Who may ask the served model, and what is said when it cannot be served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.server.access.keys import KINDS, create_key
from grpo_pipeline.server.metrics import Metrics
from grpo_pipeline.server.services import open_services
from grpo_pipeline.server.settings import ServerSettings
from grpo_pipeline.serving.routes import _renamed
from grpo_pipeline.serving.serve import create_app, serve_model
from grpo_pipeline.serving.settings import ServingSettings, load_serving_settings
from grpo_pipeline.serving.switchboard import Served
from grpo_pipeline.training.locks import exclusive
from grpo_pipeline.training.profiles import Hardware

ASKED = {"messages": [{"role": "user", "content": "Hello"}]}


@dataclass
class EngineOf:
    """In the place of the switchboard: an engine that repeats the model's name that it was asked for."""

    served: Served

    @property
    def client(self) -> httpx2.AsyncClient:
        def answer(request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, content=b'{"model":"' + json.loads(request.content)["model"].encode() + b'"}')

        return httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://engine")


SERVED = Served("v1", "v1", {"v1": "v1@main", "v2": "v2@main"})


@pytest.fixture
def client(tmp_path: Path, database_url: str) -> TestClient:
    """The API before an engine that serves a champion and a challenger."""
    settings, server = Settings(home=tmp_path, database_url=database_url), ServerSettings()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with open_services(settings, server, database_url, Metrics()) as services:
            made = create_app(server, EngineOf(SERVED), services)  # type: ignore[arg-type]
            await made(scope, receive, send)

    return TestClient(app, base_url="http://127.0.0.1:8001")


@pytest.mark.parametrize(("asked", "version"), [("champion", "v1"), ("v1", "v1"), ("v2", "v2"), (None, "v1")])
def test_an_answer_names_the_version_that_gave_it(client: TestClient, asked: str | None, version: str) -> None:
    answer = client.post("/v1/chat/completions", json={**ASKED, **({"model": asked} if asked else {})})
    assert (answer.json(), answer.headers["x-model-version"]) == ({"model": version}, version)


@pytest.mark.parametrize("body", ["[]", "{", '"x"', '{"model": 3}', '{"model": ["v1"]}', '{"model": "v1@main"}'])
def test_what_cannot_be_asked_is_refused(client: TestClient, body: str) -> None:
    answer = client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 404)


def test_once_there_are_keys_one_is_needed(client: TestClient, database_url: str) -> None:
    secrets = {kind: create_key(database_url, kind, kind) for kind in KINDS}
    assert client.post("/v1/chat/completions", json=ASKED).status_code == 401
    assert client.get("/v1/models").status_code == 401
    for secret in secrets.values():
        shown = {"Authorization": f"Bearer {secret}"}
        assert client.post("/v1/chat/completions", json=ASKED, headers=shown).status_code == 200
        assert client.get("/v1/models", headers=shown).status_code == 200


def test_a_page_of_another_site_cannot_ask(client: TestClient) -> None:
    answer = client.post("/v1/chat/completions", json=ASKED, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_the_engines_name_is_replaced_however_a_stream_is_cut(size: int) -> None:
    event = b'data: {"model":"v1@main","choices":[{"delta":{"content":"\\"model\\":\\"v1@main\\""}}]}\n\n'
    stream = 3 * event + b"data: [DONE]"

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(stream), size):
            yield stream[start : start + size]

    async def read() -> bytes:
        answer = httpx2.Response(200, content=parts())
        return b"".join([part async for part in _renamed(answer, "v1@main", "v1")])

    assert asyncio.run(read()) == stream.replace(b'"model":"v1@main"', b'"model":"v1"')


def attempt(home: Path, url: str, **serving: object) -> None:
    serve_model(Settings(home=home, database_url=url), ServerSettings(), ServingSettings(**serving), None, print)  # type: ignore[arg-type]


def test_without_keys_nobody_else_can_reach_it(tmp_path: Path, database_url: str) -> None:
    with pytest.raises(PipelineError, match="leave GRPO_SERVING__HOST unset"):
        attempt(tmp_path, database_url, host="0.0.0.0")


def test_an_engine_that_is_not_installed_is_explained(tmp_path: Path, database_url: str) -> None:
    with pytest.raises(PipelineError, match="vLLM is not installed"):
        attempt(tmp_path, database_url, engine="vllm")


def test_an_engine_that_does_not_start_is_explained(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_TRAINING__PROFILE", "tiny")
    with pytest.raises(PipelineError, match=r"ended with exit code 2 before it answered: see .*engine.log"):
        attempt(tmp_path, database_url, port=0, engine_args="--no-such-option")
    assert "no-such-option" in (tmp_path / "serving" / "engine.log").read_text()


def test_one_serves_models_at_a_time(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grpo_pipeline.serving.serve.STOP_SECONDS", 0.1)
    (tmp_path / "serving").mkdir()
    with (
        exclusive(tmp_path / "serving" / "lock", wait_seconds=0, busy=""),
        pytest.raises(PipelineError, match=r"Process \d+ serves models already"),
    ):
        attempt(tmp_path, database_url, port=0)


def test_vllm_is_chosen_where_it_can_run() -> None:
    chosen = {
        (gpus, vllm): ServingSettings().chosen_engine(Hardware(gpus=gpus, cpu_bf16=True, vllm=vllm))
        for gpus in (0, 1)
        for vllm in (False, True)
    }
    assert {name for name, engine in chosen.items() if engine == "vllm"} == {(1, True)}
    assert ServingSettings(engine="transformers").chosen_engine(Hardware(1, True, vllm=True)) == "transformers"


def test_a_setting_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_SERVING__ENGINE", "llama")
    with pytest.raises(PipelineError, match="GRPO_SERVING__ENGINE"):
        load_serving_settings()
