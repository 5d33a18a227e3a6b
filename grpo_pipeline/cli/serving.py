"""`grpo-pipeline serve`: the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from grpo_pipeline.config import load_settings


def serve(
    port: Annotated[int | None, typer.Option(help="Port; unset: GRPO_SERVER__PORT.")] = None,
    host: Annotated[str | None, typer.Option(help="Address; unset: GRPO_SERVER__HOST.")] = None,
) -> None:
    """Serve the HTTP API: feedback in, models out; Ctrl-C stops it."""
    # The web framework takes a moment to import; the other commands should not wait for it.
    from grpo_pipeline.server import serving
    from grpo_pipeline.server.settings import load_server_settings

    server = load_server_settings(port=port, host=host)
    console = Console(soft_wrap=True, highlight=False)
    serving.serve(load_settings(), server, say=console.print)
