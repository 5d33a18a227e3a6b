"""Curated pairs and votes for tests, as their parquet files hold them."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.dataset.split import side_of, unit_name
from grpo_pipeline.weeks import Week

FIRST = Week("2026-01-05")
CURATED_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "feedback_id": pl.String,
    "user_id": pl.String,
    "source": pl.String,
    "prompt": pl.String,
    "chosen": pl.String,
    "rejected": pl.String,
    "tools": pl.String,
    "model_version": pl.String,
    "review_status": pl.String,
    "metadata": pl.String,
    "score": pl.Float64,
    "created_at": pl.Datetime("us", "UTC"),
    "updated_at": pl.Datetime("us", "UTC"),
    "flags": pl.List(pl.String),
    "week": pl.String,
}
VOTE_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "user_id": pl.String,
    "created_at": pl.Datetime("us", "UTC"),
    "prompt": pl.String,
    "response": pl.String,
    "vote": pl.String,
    "tools": pl.String,
    "model_version": pl.String,
}
COMPANIES = ("Ramp", "Brex", "Stripe", "Plaid", "Mercury", "Gusto", "Rippling", "Deel", "Carta", "Vanta", "Figma")
WISHES = (
    "Which investors led the last round of {}?",
    "How many people work at {} today, and where?",
    "Write a short brief on {} for a sales call",
    "What does {} charge small businesses?",
    "Name three risks of buying {} stock",
    "Who founded {} and what did they do before?",
    "Compare {} with its closest rival",
)


def moment(week: int, minute: float = 0) -> datetime:
    return FIRST.shift(week).start + timedelta(minutes=minute)


def pair(id: str, user: str | None, prompt: str, week: int = 0, minute: float = 0, **columns: object) -> dict[str, Any]:
    made = moment(week, minute)
    return {
        "id": id,
        "user_id": user,
        "source": "edit",
        "prompt": prompt,
        "chosen": f"A full answer, number {id}.",
        "rejected": f"A thin answer, number {id}.",
        "created_at": made,
        "updated_at": made,
        "flags": [],
        "week": Week.containing(made).key,
        **columns,
    }


def curated(*pairs: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(pairs), schema=CURATED_SCHEMA)


def vote(id: str, kind: str, prompt: str, response: str, week: int = 0, **columns: object) -> dict[str, Any]:
    known = {"id": id, "user_id": "ada", "vote": kind, "prompt": prompt, "response": response}
    return {**known, "created_at": moment(week, float(str(columns.pop("minute", 0)))), **columns}


def votes(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=VOTE_SCHEMA)


def many_pairs(weeks: int = 6, each: int = 30, people: int = 15) -> pl.DataFrame:
    """Pairs of many people over some weeks, no two prompts nearly the same."""
    rows = []
    for number in range(weeks * each):
        wish, company = WISHES[number % len(WISHES)], COMPANIES[number // len(WISHES) % len(COMPANIES)]
        year = 1900 + number * 7
        prompt = wish.format(f"{company} {year}-{number * 7919 % 1000:03d} and its {number * 104729 % 9973} shops")
        rows.append(pair(f"p{number:04d}", f"user-{number % people}", prompt, number // each, number % each))
    return curated(*rows)


def user_on(side: str, number: int = 0) -> str:
    """The `number`-th user whose pairs fall on a side by the default settings."""
    settings = DatasetSettings()
    users = (f"user {count}" for count in itertools.count())
    names = ((user, unit_name(settings.split_salt, "contributor", user)) for user in users)
    fitting = (user for user, name in names if side_of(name, settings.held_out_fraction) == side)
    return next(itertools.islice(fitting, number, None))
