"""The feedback database as the pipeline reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow as pa

from grpo_pipeline.feedback.barrier import wait_for_commit_barrier
from grpo_pipeline.feedback.extraction import ExtractionResult, extract_week
from grpo_pipeline.feedback.fingerprints import Fingerprints, read_fingerprints
from grpo_pipeline.feedback.queries import window_query
from grpo_pipeline.feedback.snapshot import open_snapshot
from grpo_pipeline.feedback.tables import TABLES, TableName
from grpo_pipeline.weeks import Week, weeks_between

# A deletion is stamped before it commits, so that one can become visible with a time that was passed already.
TOMBSTONE_OVERLAP = timedelta(days=1)


@dataclass(frozen=True)
class Tombstone:
    """A row that was deleted: its table, its id, the week it was in, and when it was deleted."""

    table: TableName
    id: str
    week: Week
    deleted_at: datetime


class FeedbackStore:
    """Reads feedback from one database; every method is one short transaction and changes nothing."""

    def __init__(self, url: str) -> None:
        self.url = url

    def extract(self, table: TableName, week: Week, target: Path) -> ExtractionResult:
        """Write one week of a table to the Parquet file `target`, all of it or nothing.

        Raises:
            PipelineError: the database cannot be read to the end, or the file cannot be written.
        """
        with open_snapshot(self.url) as snapshot:
            return extract_week(snapshot, TABLES[table], week, target)

    def fingerprints(self, first: Week, last: Week) -> Fingerprints:
        """The fingerprint of every week from `first` to `last`, by table and week key."""
        with open_snapshot(self.url) as snapshot:
            return read_fingerprints(snapshot, first, last)

    def wait_for_commit_barrier(self, week: Week, timeout: float) -> bool:
        """Whether nothing that is still uncommitted can add rows to a past week; waits up to `timeout` seconds."""
        return wait_for_commit_barrier(self.url, week, timeout)

    def count_pairs(self, first: Week, last: Week, approved_only: bool = False) -> dict[str, int]:
        """Pairs of every week that could be used, judged without curation: texts that differ, not rejected in review.

        Args:
            first: earliest week.
            last: latest week, included.
            approved_only: count only the pairs that a reviewer approved.
        """
        counts = {week.key: 0 for week in weeks_between(first, last)}
        with open_snapshot(self.url) as snapshot:
            found = snapshot.rows(window_query("usable_pairs", first.start, last.end))
        counts.update({str(week): cast(int, approved if approved_only else usable) for week, usable, approved in found})
        return counts

    def judgements(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Who judged which version's answers in [start, end), and how, earliest first; without any text.

        Columns: created_at, person, model_version, feedback_type, score, with_tools.
        """
        with open_snapshot(self.url) as snapshot:
            schema, batches = snapshot.stream(window_query("judgements", start, end))
            return cast(pl.DataFrame, pl.from_arrow(pa.Table.from_batches(batches, schema)))

    def row_versions(self, table: TableName, week: Week) -> pl.DataFrame:
        """`id` and `updated_at` of every row of a week."""
        query = (
            f"select id::text as id, updated_at from public.{TABLES[table].name} "
            f"where created_at >= '{week.start.isoformat()}' and created_at < '{week.end.isoformat()}'"
        )
        schema = {"id": pl.String(), "updated_at": pl.Datetime("us", "UTC")}
        with open_snapshot(self.url) as snapshot:
            return pl.DataFrame(snapshot.rows(query), schema=schema, orient="row")

    def tombstones(self, since: datetime | None = None) -> list[Tombstone]:
        """Rows that were deleted after `since` or up to a day before it, or ever; the earliest deletion first."""
        after = "" if since is None else f"where deleted_at >= '{(since - TOMBSTONE_OVERLAP).isoformat()}'"
        query = (
            "select table_name, row_id::text as row_id, row_created_at, deleted_at "
            f"from public.feedback_tombstones {after} order by deleted_at, table_name, row_id"
        )
        with open_snapshot(self.url) as snapshot:
            rows = snapshot.rows(query)
        return [
            Tombstone(
                cast(TableName, table),
                str(row_id),
                Week.containing(cast(datetime, created_at)),
                cast(datetime, deleted_at).astimezone(UTC),
            )
            for table, row_id, created_at, deleted_at in rows
        ]
