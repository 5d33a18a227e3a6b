"""`grpo-pipeline serve-model`: the champion behind an OpenAI-compatible API."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from grpo_pipeline.config import load_settings


def serve_model(
    version: Annotated[
        str | None, typer.Option(help="Version to serve whatever is promoted; unset: the champion.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; unset: GRPO_SERVING__PORT.")] = None,
    host: Annotated[str | None, typer.Option(help="Address; unset: GRPO_SERVING__HOST.")] = None,
) -> None:
    """Serve the champion behind an OpenAI-compatible API; Ctrl-C stops it.

    vLLM answers where it is installed and there is a GPU, `transformers serve` elsewhere. A promotion or rollback
    switches the model without a restart.
    """
    # The web framework takes a moment to import; the other commands should not wait for it.
    from grpo_pipeline.server.settings import load_server_settings
    from grpo_pipeline.serving.serve import serve_model as serve
    from grpo_pipeline.serving.settings import load_serving_settings

    serving = load_serving_settings(port=port, host=host)
    console = Console(soft_wrap=True, highlight=False)
    serve(load_settings(), load_server_settings(), serving, version, say=console.print)
