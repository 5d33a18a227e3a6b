"""Pairs for tests of the review pages, and what the database says of them afterwards."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from fastapi.testclient import TestClient
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from grpo_pipeline_tests.server.conftest import LOCAL

OWN = {"Origin": LOCAL}
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Stored:
    """What the database has of a pair."""

    id: str
    version: str
    status: str
    by: str | None
    at: datetime | None
    chosen: str


def add_pair(url: str, **columns: Any) -> str:  # noqa: ANN401
    """Insert a pair as an import would; its id."""
    identity = str(uuid.uuid4())
    row = {"prompt": "Analyze Ramp", "chosen": "Deep analysis", "rejected": "Simple analysis", "created_at": MONDAY}
    values = {"id": identity, **row, **columns}
    stored = {name: Jsonb(value) if isinstance(value, dict | list) else value for name, value in values.items()}
    names, places = ", ".join(stored), ", ".join(f"%({name})s" for name in stored)
    with psycopg.connect(url) as connection:
        connection.execute(f"insert into preference_pairs ({names}) values ({places})".encode(), stored)
    return str(values["id"])


def add_pairs(url: str, count: int, **columns: Any) -> list[str]:  # noqa: ANN401
    """Pairs a minute apart, the newest first."""
    made = [
        add_pair(url, **{"prompt": f"Question {number}", "created_at": MONDAY + timedelta(minutes=number), **columns})
        for number in range(count)
    ]
    return made[::-1]


def stored(url: str, identity: str) -> Stored:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        row = connection.execute("select * from preference_pairs where id = %s", (identity,)).fetchone()
    assert row is not None
    version = row["updated_at"].astimezone(UTC).isoformat()
    return Stored(identity, version, row["review_status"], row["reviewed_by"], row["reviewed_at"], row["chosen"])


def audit(url: str) -> list[dict[str, Any]]:
    """Every decision, the oldest first."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute("select * from private.pair_decisions order by id").fetchall()


def seen(url: str, *ids: str) -> list[dict[str, str]]:
    """Pairs as a page sends them that was loaded just now."""
    return [{"id": identity, "version": stored(url, identity).version} for identity in ids]


def post(client: TestClient, action: str, body: dict[str, Any]) -> Any:  # noqa: ANN401
    """Send what the inbox sends."""
    return client.post(f"/inbox/{action}", json=body, headers=OWN)


def shown(client: TestClient, **filters: str) -> list[str]:
    """The ids of the pairs that the inbox shows, in order."""
    page = client.get("/inbox", params=filters)
    assert page.status_code == 200
    return [part[:36] for part in page.text.split('id="pair-')[1:]]
