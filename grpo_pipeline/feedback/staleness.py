"""Which weeks the artifact store no longer shows as the database has them, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.feedback.fingerprints import EMPTY_FINGERPRINT, fingerprint_rows
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.feedback.tables import TABLES, TableName
from grpo_pipeline.weeks import Week


@dataclass(frozen=True)
class StaleWeek:
    """A week to extract again (or for the first time), with one reason for each thing that happened to it."""

    week: Week
    reasons: tuple[str, ...]


def extracted_fingerprint(artifact: Artifact) -> str:
    """The fingerprint of the rows that an extracted artifact holds."""
    return str(artifact.manifest["source"]["fingerprint"])


def stale_weeks(store: FeedbackStore, artifacts: ArtifactStore, weeks: Sequence[Week]) -> list[StaleWeek]:
    """The weeks among `weeks` whose rows came late, changed or were deleted since, or were never extracted.

    Fresh weeks cost one query for all of them; only a stale week's ids are read, to say how many rows it is about.
    A week that was never extracted and has no rows is not stale.

    Raises:
        PipelineError: the database cannot be read.
    """
    if not weeks:
        return []
    found = store.fingerprints(min(weeks), max(weeks))
    reasons = {
        week: tuple(
            reason
            for table in TABLES
            for reason in _reasons(store, artifacts.latest(table, week.key), table, week, found[table][week.key])
        )
        for week in sorted(weeks)
    }
    return [StaleWeek(week, why) for week, why in reasons.items() if why]


def _reasons(
    store: FeedbackStore, artifact: Artifact | None, table: TableName, week: Week, fingerprint: str
) -> list[str]:
    if artifact is None:
        rows = fingerprint_rows(fingerprint)
        return [] if fingerprint == EMPTY_FINGERPRINT else [f"{_rows(rows)} of {table} never extracted"]
    if extracted_fingerprint(artifact) == fingerprint:
        return []
    had = pl.scan_parquet(artifact.path / TABLES[table].file).select("id", "updated_at").collect()
    has = store.row_versions(table, week)
    late = has.join(had, on="id", how="anti").height
    deleted = had.join(has, on="id", how="anti").height
    changed = has.join(had, on="id").filter(pl.col("updated_at") != pl.col("updated_at_right")).height
    said = [
        f"{_rows(count)} of {table} {what}"
        for count, what in ((late, "came late"), (changed, "changed"), (deleted, "deleted"))
        if count
    ]
    return said or [f"{table} extracted differently"]


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
