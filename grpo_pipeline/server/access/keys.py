"""Keys of the HTTP API: made once, shown once, kept as hashes, revoked at any time."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from psycopg.rows import class_row

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import transaction

KeyKind = Literal["app", "admin", "model"]
KINDS: tuple[KeyKind, ...] = get_args(KeyKind)
# Tells a key from a user's token, and a leaked one from any other text.
PREFIX = "grpo_"
SELECT = "select id, kind, name, secret_hash, created_at, revoked_at from private.api_keys"
INSERT = "insert into private.api_keys (id, kind, name, secret_hash) values (%s, %s, %s, %s)"
REVOKE = "update private.api_keys set revoked_at = clock_timestamp() where id = %s and revoked_at is null"


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key: everything but the key itself."""

    id: str
    kind: KeyKind
    name: str
    secret_hash: str
    created_at: datetime
    revoked_at: datetime | None


def hash_key(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def create_key(url: str, kind: KeyKind, name: str) -> str:
    """Make a key and return it; it is not kept and cannot be shown again.

    Args:
        url: the feedback database.
        kind: `app` writes feedback and asks for assignments, `admin` does everything else, `model` asks for the
            champion.
        name: what it is for, such as the app that uses it.

    Raises:
        PipelineError: the name is empty or too long.
    """
    if not 1 <= len(name.strip().encode()) <= 200:
        raise PipelineError("A key needs a name of at most 200 bytes that says what it is for: give --name.")
    identity = secrets.token_hex(4)
    key = f"{PREFIX}{kind}_{identity}_{secrets.token_urlsafe(32)}"
    with transaction(url) as connection:
        connection.execute(INSERT, (identity, kind, name.strip(), hash_key(key)))
    return key


def list_keys(url: str) -> list[ApiKey]:
    """Every key that was ever made, the oldest first."""
    with transaction(url) as connection, connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(f"{SELECT} order by created_at, id").fetchall()


def revoke_key(url: str, identity: str) -> None:
    """Make a key useless.

    Raises:
        PipelineError: there is no such key, or it is revoked already.
    """
    with transaction(url) as connection:
        if connection.execute(REVOKE, (identity,)).rowcount == 0:
            raise PipelineError(f"There is no key '{identity}' in use: `grpo-pipeline keys list` shows all.")
