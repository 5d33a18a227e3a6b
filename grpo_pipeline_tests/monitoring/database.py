"""A database with a champion, a challenger, and users who judge both."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

import psycopg

from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.traffic import set_share
from grpo_pipeline_tests.registry.models import model

FIRST, CHAMPION, CHALLENGER = "2026-10-05-aaaa1111", "2026-10-12-aaaa1111", "2026-10-19-aaaa1111"
INSERT_VOTE = """
insert into agent_feedback (created_at, user_id, feedback_type, prompt, response, model_version, tools)
values (%s, %s, %s, 'a secret prompt', %s, %s, %s)
"""


def in_use(url: str, promoted: datetime, *, share: float | None = None, since: datetime | None = None) -> None:
    """Two champions one after the other, the second at a moment, and a challenger with a share since another."""
    registry = ModelRegistry(url)
    for version in (FIRST, CHAMPION, CHALLENGER):
        registry.register(model(version[:10]))
    registry.promote(FIRST, "test", "better")
    registry.promote(CHAMPION, "test", "better")
    if share:
        set_share(url, CHALLENGER, share, "test")
    with psycopg.connect(url) as connection:
        move = "update model_changes set changed_at = %s where version = any(%s)"
        connection.execute(move, (promoted, [FIRST, CHAMPION]))
        connection.execute("update model_versions set promoted_at = %s where version = %s", (promoted, CHAMPION))
        earlier = promoted - timedelta(days=60)
        connection.execute("update model_versions set promoted_at = %s where version = %s", (earlier, FIRST))
        connection.execute(move, (since or promoted, [CHALLENGER]))


def add_votes(
    url: str, start: datetime, days: float, users: Mapping[str, int], success: Mapping[str, float], seed: int = 0
) -> None:
    """Three votes each of some users of every version, who come evenly over the days from a start on."""
    source, rows = random.Random(seed), []
    for version, count in users.items():
        for number in range(count):
            person = uuid.UUID(int=source.getrandbits(128))
            first = start + timedelta(days=days * number / count)
            for vote in range(3):
                kind = "thumbs_up" if source.random() < success[version] else "thumbs_down"
                tools = "[]" if number % 3 == 0 else None
                rows.append((first + timedelta(minutes=vote), person, kind, f"{number} {vote}", version, tools))
    with psycopg.connect(url) as connection:
        cursor = connection.cursor()
        people = sorted({(row[1],) for row in rows})
        cursor.executemany("insert into auth.users (id) values (%s) on conflict do nothing", people)
        cursor.executemany(INSERT_VOTE, rows)
