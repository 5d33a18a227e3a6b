"""Runs the application: checks that it may listen where it was told to, and says how to reach it."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence

import uvicorn

from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.postgres.migrations import pending
from grpo_pipeline.server.access.keys import KINDS, ApiKey, list_keys
from grpo_pipeline.server.app import create_app
from grpo_pipeline.server.settings import ServerSettings

SHUTDOWN_SECONDS = 10


def serve(settings: Settings, server: ServerSettings, say: Callable[[str], None]) -> None:
    """Serve the API until it is told to stop; requests that are being answered then are answered to the end.

    Args:
        settings: the project's settings.
        server: the server's own.
        say: takes the lines for the person who starts it.

    Raises:
        PipelineError: the address cannot be used, or the database cannot be reached or lacks migrations.
    """
    url = resolve_database_url(settings)
    if pending(url):
        raise PipelineError("The database lacks tables that this version needs: run `grpo-pipeline db migrate`.")
    keys = list_keys(url)
    access = described_access(server, keys)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    with listening(server.host, server.port) as listener:
        config = uvicorn.Config(
            create_app(settings, server, url),
            # The lines of an access log hold user ids; the metrics count the same without them.
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        place = address(server, listener)
        say(f"The API answers at {place}, described in /openapi.json. Ctrl-C stops it.")
        say(f"The review pages are at {place}/.")
        say(access)
        uvicorn.Server(config).run(sockets=[listener])


def described_access(server: ServerSettings, keys: Sequence[ApiKey], setting: str = "GRPO_SERVER__HOST") -> str:
    """Who may use the server, in words; `setting` is what its address comes from.

    Raises:
        PipelineError: everyone could, as there are no keys and it would listen to other machines too.
    """
    open_doors = not server.takes_tokens and not keys
    if open_doors and not server.on_loopback:
        raise PipelineError(
            f"The server has no keys, so it listens on this machine only, not on {server.host}: make keys with "
            f"`grpo-pipeline keys create`, or leave {setting} unset."
        )
    if open_doors:
        return "It has no keys: it listens on this machine only, and whoever is on it may do everything."
    counts = Counter(key.kind for key in keys if key.revoked_at is None)
    having = [f"{counts[kind]} {kind} key{'s' if counts[kind] > 1 else ''}" for kind in KINDS if counts[kind]]
    tokens = [f"tokens of {server.issuer}"] if server.takes_tokens else []
    hint = "" if counts["admin"] else " Nobody may see or change models: `grpo-pipeline keys create admin`."
    return f"It takes {', '.join([*having, *tokens]) or 'no key that is in use'}.{hint}"


def address(server: ServerSettings, listener: socket.socket) -> str:
    """The URL of a server by its socket, which knows the port where any was asked for."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{listener.getsockname()[1]}"


def listening(host: str, port: int, setting: str = "GRPO_SERVER__PORT") -> socket.socket:
    """The socket that a server listens on; `setting` is what its port comes from.

    Raises:
        PipelineError: the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PipelineError(
            f"Port {port} of {host} cannot be used ({error.strerror}): choose another with {setting}."
        ) from error
    return listener
