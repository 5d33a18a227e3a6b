"""Runs the engine, what follows the registry, and the API before them, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.postgres.migrations import pending
from grpo_pipeline.resources.process_guard import STOP_SECONDS
from grpo_pipeline.server.access.keys import list_keys
from grpo_pipeline.server.metrics import Metrics
from grpo_pipeline.server.middleware import BodyLimit, Watch
from grpo_pipeline.server.problems import add_problem_handlers
from grpo_pipeline.server.services import Services, open_services
from grpo_pipeline.server.serving import address, described_access, listening
from grpo_pipeline.server.settings import ServerSettings
from grpo_pipeline.serving.engine import Engine
from grpo_pipeline.serving.routes import serving_routes
from grpo_pipeline.serving.settings import ServingSettings
from grpo_pipeline.serving.switchboard import CHAMPION, Switchboard
from grpo_pipeline.serving.transformers_engine import TransformersEngine
from grpo_pipeline.serving.vllm_engine import VllmEngine
from grpo_pipeline.serving.wanted import BASE, WantedModels
from grpo_pipeline.training.locks import exclusive
from grpo_pipeline.training.profiles import Hardware, detect_hardware

FOLDER = "serving"
BUSY = "Process {holder} serves models already: stop it first."
SHUTDOWN_SECONDS = 10
Say = Callable[[str], None]


def serve_model(
    settings: Settings, server: ServerSettings, serving: ServingSettings, version: str | None, say: Say
) -> None:
    """Serve the champion, and each that takes its place, until told to stop.

    Args:
        settings: the project's settings.
        server: what the API and this have in common: keys, tokens, limits.
        serving: where the model is served, and by what.
        version: a version to serve whatever is promoted; None: the champion.
        say: takes the lines for the person who starts it.

    Raises:
        PipelineError: the address or the database cannot be used, or the model cannot be served.
    """
    url = resolve_database_url(settings)
    if pending(url):
        raise PipelineError("The database lacks tables that this version needs: run `grpo-pipeline db migrate`.")
    here = server.model_copy(update={"host": serving.host, "port": serving.port})
    access = described_access(here, list_keys(url), "GRPO_SERVING__HOST")
    folder = settings.home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("grpo_pipeline.serving").setLevel(logging.INFO)
    engine = engine_for(settings, serving, detect_hardware(), folder)
    with (
        exclusive(folder / "lock", wait_seconds=STOP_SECONDS, busy=BUSY),
        listening(here.host, here.port, "GRPO_SERVING__PORT") as listener,
    ):
        say(f"Starting {engine.name}. {access}")
        asyncio.run(_serve(settings, here, serving, url, engine, version, listener, say))


async def _serve(
    settings: Settings,
    server: ServerSettings,
    serving: ServingSettings,
    url: str,
    engine: Engine,
    version: str | None,
    listener: socket.socket,
    say: Say,
) -> None:
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings, server, url, Metrics()))
        wanted = WantedModels(settings, url, services.models, version)
        switchboard = Switchboard(engine, wanted, settings.home / FOLDER, serving.start_seconds)
        stack.push_async_callback(switchboard.stop)
        await switchboard.catch_up()
        following = asyncio.create_task(switchboard.follow(serving.poll_seconds))
        stack.callback(following.cancel)
        say(f"{switchboard.served.champion} answers at {address(server, listener)}/v1 as '{CHAMPION}'.")
        config = uvicorn.Config(
            create_app(server, switchboard, services),
            access_log=False,
            log_level="warning",
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        await uvicorn.Server(config).serve(sockets=[listener])


def engine_for(settings: Settings, serving: ServingSettings, hardware: Hardware, folder: Path) -> Engine:
    """The engine that suits the machine, or that the settings name."""
    if serving.chosen_engine(hardware) == "vllm":
        if not hardware.vllm:
            raise PipelineError("vLLM is not installed: `pip install vllm`, or leave GRPO_SERVING__ENGINE unset.")
        return VllmEngine(settings.home, BASE, serving.engine_args)
    return TransformersEngine(settings.home, folder, hardware, serving.engine_args)


def create_app(server: ServerSettings, switchboard: Switchboard, services: Services) -> FastAPI:
    """The API before an engine."""
    app = FastAPI(title="grpo_pipeline: the served model", docs_url=None, redoc_url=None)
    app.state.switchboard, app.state.services = switchboard, services
    app.include_router(serving_routes)
    add_problem_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=server.max_body_bytes)
    app.add_middleware(Watch, metrics=services.metrics)
    return app
