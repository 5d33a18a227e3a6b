"""`grpo-pipeline db`: the feedback database from the command line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import connect, embedded_server, resolve_database_url
from grpo_pipeline.postgres.embedded_files import installed_programs
from grpo_pipeline.postgres.migrations import migrate, pending
from grpo_pipeline.postgres.urls import normalize_database_url, redact_url, split_password

_NOT_RUNNING = 3
_NOT_MIGRATED = 4

database_app = typer.Typer(
    name="db",
    help="The feedback database: the embedded Postgres, or the one that GRPO_DATABASE_URL names.",
    no_args_is_help=True,
)
_console = Console(soft_wrap=True, highlight=False, markup=False)


@database_app.command()
def up() -> None:
    """Start the embedded Postgres and bring its tables up to date; with GRPO_DATABASE_URL, see that it answers."""
    settings = load_settings()
    if settings.database_url:
        with connect(settings.database_url):
            _console.print(f"{redact_url(settings.database_url)} answers. Its tables: `grpo-pipeline db status`.")
        return
    url = resolve_database_url(settings)
    _console.print(f"Postgres runs at {redact_url(url)}")
    _console.print(f"The password is in {embedded_server(settings).password_file}; `grpo-pipeline db psql` needs none.")


@database_app.command()
def down() -> None:
    """Stop the embedded Postgres; its data stays."""
    settings = load_settings()
    ran = embedded_server(settings).stop()
    _console.print("Postgres is stopped." if ran else "Postgres did not run.")


@database_app.command()
def status() -> None:
    """Show where the database is and whether it is ready.

    Exit code 0: ready. 3: the embedded server does not run. 4: migrations are missing.
    """
    settings = load_settings()
    url = _running_url(settings)
    if url is None:
        server = embedded_server(settings).status()
        _console.print(f"The embedded Postgres does not run (data: {server.data}). Start it: `grpo-pipeline db up`.")
        raise typer.Exit(_NOT_RUNNING)
    missing = pending(url)
    _console.print(f"Database: {redact_url(url)}")
    _console.print(f"Postgres: {_server_version(url)}")
    if not settings.database_url:
        _console.print(f"Data:     {embedded_server(settings).status().data}")
    if missing:
        _console.print(f"Tables:   {len(missing)} migrations are missing. Apply them: `grpo-pipeline db migrate`.")
        raise typer.Exit(_NOT_MIGRATED)
    _console.print("Tables:   up to date")


@database_app.command(name="migrate")
def migrate_command() -> None:
    """Bring the tables up to this version; running it again changes nothing."""
    settings = load_settings()
    url = normalize_database_url(settings.database_url) if settings.database_url else embedded_server(settings).start()
    applied = migrate(url)
    for name in applied:
        _console.print(f"applied {name}")
    _console.print(f"{redact_url(url)} is up to date.")


@database_app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to psql, such as `-c 'select 1'`.")] = None,
) -> None:
    """Open the database with psql; the password stays off the command line."""
    settings = load_settings()
    program = _psql_program(embedded=settings.database_url is None)
    url, password = split_password(resolve_database_url(settings))
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = password
    os.execve(program, ["psql", "--dbname", url, *(arguments or [])], environment)


def _running_url(settings: Settings) -> str | None:
    if settings.database_url:
        return normalize_database_url(settings.database_url)
    server = embedded_server(settings)
    return server.start() if server.status().running else None


def _server_version(url: str) -> str:
    with connect(url) as connection:
        return connection.info.parameter_status("server_version") or "unknown"


def _psql_program(*, embedded: bool) -> Path | str:
    """The embedded server's own psql for it; elsewhere the system's, because the embedded one speaks no TLS."""
    if embedded:
        return installed_programs() / "psql"
    system = shutil.which("psql")
    if system is None:
        raise PipelineError("psql is not installed: install the system package postgresql-client.")
    return system
