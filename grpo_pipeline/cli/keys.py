"""`grpo-pipeline keys`: who may use the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_pipeline.config import load_settings
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.server.access.keys import KeyKind, create_key, list_keys, revoke_key

keys_app = typer.Typer(name="keys", help="Keys of the HTTP API.", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)


@keys_app.command()
def create(
    kind: Annotated[
        KeyKind,
        typer.Argument(
            help="app: writes feedback, asks for assignments. admin: all else. model: asks for the champion."
        ),
    ],
    name: Annotated[str, typer.Option(help="What it is for, such as the app that uses it.")],
) -> None:
    """Make a key and print it; it is kept as a hash alone and cannot be shown again."""
    typer.echo(create_key(resolve_database_url(load_settings()), kind, name))
    Console(stderr=True, soft_wrap=True).print("Keep it safe: it is not shown again.")


@keys_app.command("list")
def list_command() -> None:
    """Show every key that was made."""
    keys = list_keys(resolve_database_url(load_settings()))
    if not keys:
        _console.print("There are no keys: the API answers this machine only. Make one: `grpo-pipeline keys create`.")
        return
    table = Table("id", "kind", "name", "created", "revoked")
    for key in keys:
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "-"
        table.add_row(key.id, key.kind, escape(key.name), f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    _console.print(table)


@keys_app.command()
def revoke(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")],
) -> None:
    """Make a key useless, within seconds and for good."""
    revoke_key(resolve_database_url(load_settings()), identity)
    _console.print(f"Key {escape(identity)} is revoked.")
