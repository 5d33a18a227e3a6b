"""Signed-in browsers: an admin key is shown once, from then on a cookie stands for it until it is revoked."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from psycopg.rows import tuple_row

from grpo_pipeline.server.access.callers import Caller
from grpo_pipeline.server.access.keys import ApiKey
from grpo_pipeline.server.pool import Pool

LIFETIME = timedelta(days=7)
TIDY = "delete from private.page_sessions where expires_at < clock_timestamp()"
START = """
insert into private.page_sessions (token_hash, key_id, expires_at) values (%s, %s, clock_timestamp() + %s)
"""
FIND = """
select k.id, k.name
from private.page_sessions s
join private.api_keys k on k.id = s.key_id
where s.token_hash = %s and s.expires_at > clock_timestamp() and k.revoked_at is null and k.kind = 'admin'
"""
END = "delete from private.page_sessions where token_hash = %s"


async def start_session(pool: Pool, key: ApiKey) -> str:
    """A new session of an admin key: the token for the cookie, of which only a hash is kept."""
    token = secrets.token_urlsafe(32)
    async with pool.connection() as connection:
        await connection.execute(TIDY)
        await connection.execute(START, (_hash(token), key.id, LIFETIME))
    return token


async def reviewer_of_session(pool: Pool, token: str) -> Caller | None:
    """Who signed in with a token; None where it is unknown or has run out, or its key was revoked."""
    async with pool.connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
        found = await (await cursor.execute(FIND, (_hash(token),))).fetchone()
    return Caller("admin", f"key {found[0]}", f"{found[1]} (key {found[0]})") if found else None


async def end_session(pool: Pool, token: str) -> None:
    """Sign out."""
    async with pool.connection() as connection:
        await connection.execute(END, (_hash(token),))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
