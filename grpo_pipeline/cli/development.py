"""`grpo-pipeline dev`: the Dagster UI and daemon on this machine."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from grpo_pipeline.config import load_settings
from grpo_pipeline.postgres.connection import resolve_database_url


def dev(
    port: Annotated[int, typer.Option(help="Port of the UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address of the UI. It has no login: keep it on loopback.")] = "127.0.0.1",
) -> None:
    """Start the Dagster UI and its daemon, with every run so far; Ctrl-C stops both.

    Schedules and sensors work while it runs.
    """
    # Dagster takes seconds to import; the other commands should not wait for it.
    from grpo_pipeline.instance import prepare_dagster_home

    settings = load_settings()
    prepare_dagster_home(settings)
    resolve_database_url(settings)
    Console(highlight=False).print(f"The UI opens at http://{host}:{port} in a few seconds. Ctrl-C stops it.")
    command = ["-m", "dagster", "dev", "-m", "grpo_pipeline.definitions", "--host", host, "--port", str(port)]
    os.execv(sys.executable, [sys.executable, *command])
