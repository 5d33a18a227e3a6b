"""What computes the answers: a server of somebody else's, with an OpenAI-compatible API, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import httpx2

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.serving.guarded import start_guarded, stop_guarded
from grpo_pipeline.serving.model import Model

LOG_FILE, LOCK_FILE = "engine.log", "engine.lock"
HEALTH_SECONDS = 0.5


class Engine(Protocol):
    """One kind of server."""

    name: str

    def command(self, base_model: str, port: int) -> Sequence[str]:
        """The command line that serves on a port of this machine."""

    def environment(self) -> Mapping[str, str]:
        """Environment variables that it needs beside this process's own."""

    def serves(self, base_model: str, other: str) -> bool:
        """Whether a process started for one base model serves models on another too."""

    async def load(self, client: httpx2.AsyncClient, model: Model) -> str:
        """Make a model ready, or keep it so, and give the name that the engine has for it.

        Raises:
            PipelineError: it cannot be loaded.
        """

    async def keep_only(self, client: httpx2.AsyncClient, models: Collection[Model]) -> None:
        """Let go of all other models."""


class EngineProcess:
    """A running engine; its process ends with this one."""

    def __init__(self, process: Process, base_model: str, client: httpx2.AsyncClient, log: Path) -> None:
        self._process = process
        self._log = log
        self._reader = asyncio.create_task(self._read())
        self._starting = True
        self.base_model = base_model
        self.client = client

    @classmethod
    async def start(cls, engine: Engine, base_model: str, folder: Path, seconds: float) -> EngineProcess:
        """Start an engine and wait until it answers.

        Args:
            engine: which one.
            base_model: what its models stand on.
            folder: where it works; its log and lock lie there.
            seconds: how long it may take.

        Raises:
            PipelineError: it ended, or does not answer in time.
        """
        port = _free_port()
        process = await start_guarded(
            engine.command(base_model, port),
            folder / LOCK_FILE,
            folder=folder,
            environment={**os.environ, **engine.environment()},
        )
        # Answers may take as long as they take.
        client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=httpx2.Timeout(None, connect=10))
        running = cls(process, base_model, client, folder / LOG_FILE)
        try:
            await running._wait_for_health(engine.name, seconds)
        except BaseException:
            await running.stop()
            raise
        return running

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.returncode is None

    async def stop(self) -> None:
        """Stop it with everything it started."""
        await self.client.aclose()
        await stop_guarded(self._process)
        await self._reader

    async def _wait_for_health(self, name: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not await self._healthy():
            if not self.alive:
                raise PipelineError(f"{name} ended with {_ending(self._process)} before it answered: see {self._log}.")
            if time.monotonic() > deadline:
                raise PipelineError(
                    f"{name} did not answer within {seconds:.0f} s: see {self._log}, or raise "
                    "GRPO_SERVING__START_SECONDS."
                )
            await asyncio.sleep(HEALTH_SECONDS)
        self._starting = False

    async def _healthy(self) -> bool:
        with contextlib.suppress(httpx2.TransportError):
            return (await self.client.get("/health", timeout=5)).status_code == 200
        return False

    async def _read(self) -> None:
        """Log what it says while it starts; afterwards it may quote what users wrote, which goes nowhere."""
        assert self._process.stdout is not None
        with self._log.open("wb", buffering=0) as log:
            while part := await self._process.stdout.read(65536):
                if self._starting:
                    log.write(part)


def _ending(process: Process) -> str:
    code = process.returncode or 0
    return f"signal {signal.Signals(code - 128).name}" if code > 128 else f"exit code {code}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
