"""Standings as one table of numbers, for people and plots."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from grpo_pipeline.monitoring.ab_test import Standing

ALL = "all users"
SCHEMA = {
    "challenger": pl.String(),
    "segment": pl.String(),
    "champion_users": pl.Int64(),
    "challenger_users": pl.Int64(),
    "champion_success": pl.Float64(),
    "challenger_success": pl.Float64(),
    "difference": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "evidence_worse": pl.Float64(),
    "evidence_better": pl.Float64(),
    "evidence_needed": pl.Float64(),
}


def standings_table(standings: Iterable[Standing]) -> pl.DataFrame:
    """A line for all users of each challenger, and one for each of its segments."""
    rows = []
    for standing in standings:
        parts = [(ALL, standing.comparison), *((part.name, part.comparison) for part in standing.segments)]
        for name, found in parts:
            rows.append(
                (
                    standing.challenger,
                    name,
                    *found.users,
                    *found.success,
                    found.difference,
                    found.low,
                    found.high,
                    found.worse,
                    found.better,
                    found.needed,
                )
            )
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
