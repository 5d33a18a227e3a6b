"""What is served follows the registry, on an engine that takes adapters while it runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
import pytest

from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.traffic import set_share
from grpo_pipeline.server.metrics import Metrics
from grpo_pipeline.server.services import open_services
from grpo_pipeline.server.settings import ServerSettings
from grpo_pipeline.serving import switchboard as switchboard_module
from grpo_pipeline.serving.switchboard import Switchboard
from grpo_pipeline.serving.vllm_engine import VllmEngine
from grpo_pipeline.serving.wanted import BASE, WantedModels
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline_tests.registry.models import model

STAND_IN = Path(__file__).parent / "stand_in"
TINY = "tiny-qwen3"
WEEKS = ("2026-10-05", "2026-10-12", "2026-10-19")


@dataclass
class Followed:
    """A switchboard on a test's database, and what else it takes to look at it."""

    switchboard: Switchboard
    registry: ModelRegistry
    url: str
    names: list[str]

    async def catch_up(self) -> None:
        """See what the registry says now, not what it said seconds ago."""
        wanted: Any = self.switchboard._wanted
        wanted._in_use.changed()
        await self.switchboard.catch_up()

    async def told(self) -> dict[str, Any]:
        """What the engine says of itself when it is asked as champion."""
        served = self.switchboard.served
        asked = {"model": served.engine_names[str(served.champion)], "messages": []}
        answer = await self.switchboard.client.post("/v1/chat/completions", json=asked)
        return dict(json.loads(answer.json()["choices"][0]["message"]["content"]))


Steps: TypeAlias = Callable[[Followed], Awaitable[None]]
Follow: TypeAlias = Callable[[Steps], None]


@pytest.fixture
def follow(tmp_path: Path, home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Follow:
    """Runs a test's steps on a switchboard that serves three registered versions on the stand-in for vLLM."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("GRPO_TRAINING__PROFILE", "tiny")
    locate_base_model(TINY, home)
    registry, names = ModelRegistry(database_url), []
    for week in WEEKS:
        adapter = tmp_path / week
        adapter.mkdir()
        (adapter / "adapter_config.json").write_text("{}")
        made = replace(model(week), base_model=TINY, adapter_location=str(adapter))
        names.append(registry.register(made).version)

    @asynccontextmanager
    async def followed() -> AsyncIterator[Followed]:
        settings = Settings(home=home, database_url=database_url)
        async with open_services(settings, ServerSettings(), database_url, Metrics()) as services:
            wanted = WantedModels(settings, database_url, services.models, None)
            engine = VllmEngine(home, BASE, ("--gpu-memory-utilization", "0.4"))
            made = Switchboard(engine, wanted, tmp_path, 30)
            try:
                yield Followed(made, registry, database_url, names)
            finally:
                await made.stop()

    def run(steps: Steps) -> None:
        async def main() -> None:
            async with followed() as found:
                await steps(found)

        asyncio.run(main())

    return run


def test_promotion_and_rollback_switch_adapters_in_a_running_engine(follow: Follow) -> None:
    async def steps(found: Followed) -> None:
        first, second, third = found.names
        await found.catch_up()
        assert (found.switchboard.served.champion, await found.told()) == (BASE, {**await found.told(), "loaded": []})
        process = (await found.told())["process"]
        for version in (first, second):
            found.registry.promote(version, "test", "better")
            await found.catch_up()
            assert found.switchboard.served.champion == version
        found.registry.rollback("test", "worse")
        await found.catch_up()
        assert found.switchboard.served.champion == first
        assert list(found.switchboard.served.engine_names) == [first]
        found.registry.promote(third, "test", "better")
        await found.catch_up()
        # The one before stays for a rollback; those before it leave with the next look.
        await found.catch_up()
        assert await found.told() == {"loaded": [first, third], "process": process, "arguments": BASE}

    follow(steps)


def test_challengers_are_served_beside_the_champion(follow: Follow) -> None:
    async def steps(found: Followed) -> None:
        first, second, _ = found.names
        found.registry.promote(first, "test", "better")
        set_share(found.url, second, 0.2, "test")
        await found.catch_up()
        assert list(found.switchboard.served.engine_names) == [first, second]
        assert found.switchboard.served.model_of("champion") == first
        set_share(found.url, second, 0, "test")
        await found.catch_up()
        assert found.switchboard.served.model_of(second) is None

    follow(steps)


def test_a_champion_that_cannot_be_loaded_leaves_the_one_before_in_its_place(
    follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(found: Followed) -> None:
        first, second, _ = found.names
        found.registry.promote(first, "test", "better")
        await found.catch_up()
        config = tmp_path / WEEKS[1] / "adapter_config.json"
        config.unlink()
        found.registry.promote(second, "test", "better")
        with pytest.raises(PipelineError, match="is not on this machine"):
            await found.catch_up()
        served = found.switchboard.served
        assert (served.champion, served.wanted, list(served.troubles)) == (first, second, [second])
        assert (await found.told())["loaded"] == [first]

        config.write_text("{}")
        monkeypatch.setattr(switchboard_module, "RETRY_SECONDS", 0.0)
        await found.catch_up()
        assert (found.switchboard.served.champion, found.switchboard.served.troubles) == (second, {})

    follow(steps)


def test_an_engine_that_died_is_started_again(follow: Follow) -> None:
    async def steps(found: Followed) -> None:
        first, _, _ = found.names
        found.registry.promote(first, "test", "better")
        await found.catch_up()
        process = (await found.told())["process"]
        os.kill(process, signal.SIGKILL)
        while found.switchboard._process and found.switchboard._process.alive:
            await asyncio.sleep(0.05)
        with pytest.raises(PipelineError, match="started again"):
            await found.told()
        await found.catch_up()
        told = await found.told()
        assert (found.switchboard.served.champion, told["loaded"], told["process"] != process) == (first, [first], True)

    follow(steps)


def test_a_champion_on_another_base_model_starts_the_engine_anew(follow: Follow, home: Path) -> None:
    async def steps(found: Followed) -> None:
        first, second, third = found.names
        found.registry.promote(first, "test", "better")
        await found.catch_up()
        other = str(locate_base_model(TINY, home).folder)
        for name in (second, third):
            found.registry.register(replace(found.registry.get(name), base_model=other, status="candidate"))
        set_share(found.url, third, 0.2, "test")
        await found.catch_up()
        assert list(found.switchboard.served.engine_names) == [first]
        assert "stands on" in found.switchboard.served.troubles[third]
        process = (await found.told())["process"]
        found.registry.promote(second, "test", "better")
        await found.catch_up()
        assert found.switchboard.served.champion == second
        assert (await found.told())["process"] != process

    follow(steps)


def test_an_engine_that_breaks_off_while_it_lets_models_go_does_not_end_the_following(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks_off(*_: object) -> None:
        raise httpx2.ConnectError("gone")

    async def steps(found: Followed) -> None:
        first, second, _ = found.names
        with monkeypatch.context() as broken:
            broken.setattr(VllmEngine, "keep_only", breaks_off)
            following = asyncio.create_task(found.switchboard.follow(0.05))
            for version in (first, second):
                found.registry.promote(version, "test", "better")
                wanted: Any = found.switchboard._wanted
                wanted._in_use.changed()
                async with asyncio.timeout(60):
                    while found.switchboard.served.champion != version:
                        await asyncio.sleep(0.05)
        assert not following.done()
        following.cancel()

    follow(steps)
