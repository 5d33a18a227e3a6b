"""`grpo-pipeline dev`: the Dagster UI, its daemon and the HTTP API on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer
from rich.console import Console

from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.postgres.connection import resolve_database_url


def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address of the UI. It has no login: keep it on loopback.")] = "127.0.0.1",
) -> None:
    """Start the Dagster UI and its daemon, with every run so far, and the HTTP API; Ctrl-C stops all of them.

    Schedules and sensors work while it runs.
    """
    # Dagster and the server take seconds to import; the other commands should not wait for them.
    from grpo_pipeline.instance import prepare_dagster_home
    from grpo_pipeline.server.serving import listening

    # With the port taken Dagster goes on without a UI, and whoever opens the page sees that of the other one.
    listening(host, port, "--port").close()
    settings = load_settings()
    prepare_dagster_home(settings)
    resolve_database_url(settings)
    _start_api(settings, f"http://{host}:{port}")
    Console(highlight=False).print(f"The UI opens at http://{host}:{port} in a few seconds. Ctrl-C stops it.")
    command = ["-m", "dagster", "dev", "-m", "grpo_pipeline.definitions", "--host", host, "--port", str(port)]
    os.execv(sys.executable, [sys.executable, *command])


def _start_api(settings: Settings, ui: str) -> None:
    """Start the API in a process that ends with this one, whatever this one turns into.

    The guard stops it when the pipe's other end closes; this process keeps that end open as long as it lives.
    """
    lifeline, held = os.pipe()
    os.set_inheritable(held, True)
    guard = [sys.executable, "-m", "grpo_pipeline.resources.process_guard", str(settings.home / "server.lock")]
    environment = {"GRPO_SERVER__DAGSTER_URL": ui, **os.environ}
    subprocess.Popen([*guard, sys.executable, "-m", "grpo_pipeline", "serve"], stdin=lifeline, env=environment)
    os.close(lifeline)
