"""Keeps the engine at what the registry says: loads what was promoted, asks it, and only then lets clients have it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import httpx2
import psycopg
from psycopg_pool import PoolTimeout

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.serving.engine import Engine, EngineProcess
from grpo_pipeline.serving.model import Model

LOG = logging.getLogger("grpo_pipeline.serving")
# The name under which clients get whatever is champion.
CHAMPION = "champion"
# How long a model that could not be loaded is left alone.
RETRY_SECONDS = 30.0
QUESTION = [{"role": "user", "content": "Hello"}]
NO_DATABASE = (psycopg.Error, PoolTimeout)


class Wanted(Protocol):
    """Says what shall be served."""

    async def read(self) -> Sequence[str]:
        """The names of the models, the champion first."""

    async def model(self, name: str) -> Model:
        """A model by its name."""


@dataclass(frozen=True)
class Served:
    """What clients get at one moment."""

    champion: str | None = None
    """Name of the model behind `champion`; None before the first is ready."""
    wanted: str | None = None
    """Name of the model that should be behind it."""
    engine_names: Mapping[str, str] = field(default_factory=dict)
    """What the engine calls each model, by its own name."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """What keeps a model from being served, by its name."""

    def model_of(self, asked: str) -> str | None:
        """The name of the model that a client gets for what it asks for, None where there is none."""
        name = self.champion if asked == CHAMPION else asked
        return name if name in self.engine_names else None


class Switchboard:
    """Follows the registry; what is `served` changes in one step, once the new model has answered."""

    def __init__(self, engine: Engine, wanted: Wanted, folder: Path, start_seconds: float) -> None:
        self._engine = engine
        self._wanted = wanted
        self._folder = folder
        self._start_seconds = start_seconds
        self._process: EngineProcess | None = None
        self._ready: Mapping[Model, str] = {}
        self._now: Model | None = None
        self._before: Model | None = None
        self._failed_at: dict[str, float] = {}
        self.served = Served()

    @property
    def client(self) -> httpx2.AsyncClient:
        """Speaks to the engine.

        Raises:
            PipelineError: it is not running.
        """
        if self._process is None or not self._process.alive:
            raise PipelineError(f"{self._engine.name} is being started again; try again in a moment.")
        return self._process.client

    async def follow(self, seconds: float) -> None:
        """Catch up with the registry again and again, this many seconds apart."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.catch_up()
            except PipelineError:
                # Noted already; it is tried again.
                continue
            except (httpx2.HTTPError, OSError) as error:
                # An engine that breaks off while it lets models go must not end the following of promotions.
                LOG.error("%s", _sentence(error))

    async def catch_up(self) -> None:
        """Serve what the registry says now.

        Raises:
            PipelineError: the first model cannot be served; what was served before goes on, and `served` says why.
        """
        try:
            names = await self._wanted.read()
        except NO_DATABASE as error:
            self._note(replace(self.served, troubles={CHAMPION: _sentence(error)}))
            return
        ready: dict[Model, str] = {}
        troubles: dict[str, str] = {}
        for name in names:
            try:
                model = await self._wanted.model(name)
                ready[model] = await self._made_ready(model, first=name == names[0])
            except (PipelineError, httpx2.HTTPError, OSError, *NO_DATABASE) as error:
                troubles[name] = _sentence(error)
                self._failed_at.setdefault(name, time.monotonic())
            if name == names[0] and name in troubles:
                self._note(replace(self.served, wanted=name, troubles=troubles))
                raise PipelineError(troubles[name])
        await self._switch(ready, troubles)

    async def stop(self) -> None:
        """Stop the engine."""
        if self._process:
            await self._process.stop()

    async def _made_ready(self, model: Model, *, first: bool) -> str:
        """The engine's name of a model, which has answered where it was not served until now."""
        failed_at = self._failed_at.get(model.name, float("-inf"))
        if time.monotonic() - failed_at < RETRY_SECONDS:
            raise PipelineError(self.served.troubles.get(model.name, "It will be tried again."))
        self._failed_at.pop(model.name, None)
        process = await self._running(model.base_model, may_restart=first)
        async with asyncio.timeout(self._start_seconds):
            name = await self._engine.load(process.client, model)
            if model.name not in self.served.engine_names:
                await _ask(process.client, name, model)
        return name

    async def _running(self, base_model: str, *, may_restart: bool) -> EngineProcess:
        process = self._process
        if process is not None and process.alive:
            if self._engine.serves(process.base_model, base_model):
                return process
            if not may_restart:
                raise PipelineError(f"It stands on {base_model}; {self._engine.name} serves {process.base_model} now.")
        if process is not None:
            LOG.warning("%s is started again, on %s", self._engine.name, base_model)
            self._process, self._ready, self.served = None, {}, Served(wanted=self.served.wanted)
            await process.stop()
        self._process = await EngineProcess.start(self._engine, base_model, self._folder, self._start_seconds)
        return self._process

    async def _switch(self, ready: Mapping[Model, str], troubles: Mapping[str, str]) -> None:
        first = next(iter(ready))
        if first != self._now:
            LOG.info("%s has answered and is served as %s", first.name, CHAMPION)
            self._before, self._now = self._now, first
        names = {model.name: name for model, name in ready.items()}
        self._note(Served(first.name, first.name, names, troubles))
        # A request may still be on its way to what was served a moment ago; a rollback needs the champion before.
        kept = {*ready, *self._ready, *([self._before] if self._before else [])}
        self._ready = ready
        await self._engine.keep_only(self.client, kept)

    def _note(self, served: Served) -> None:
        for name, trouble in served.troubles.items():
            if self.served.troubles.get(name) != trouble:
                LOG.error("%s: %s", name, trouble)
        self.served = served


async def _ask(client: httpx2.AsyncClient, name: str, model: Model) -> None:
    """Have a model answer with a token, before anybody else asks it."""
    answer = await client.post("/v1/chat/completions", json={"model": name, "messages": QUESTION, "max_tokens": 1})
    if answer.status_code != 200 or answer.json()["model"] != name:
        raise PipelineError(f"{model.name} was loaded but does not answer (status {answer.status_code}).")


def _sentence(error: Exception) -> str:
    if isinstance(error, PipelineError):
        return str(error)
    if isinstance(error, NO_DATABASE):
        return "The database does not answer, so promotions are not seen; what was served goes on."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return f"It could not be loaded ({reason}); what was served goes on."
