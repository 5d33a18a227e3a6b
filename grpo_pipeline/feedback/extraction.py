"""Streams one week of a table into a Parquet file, of which a reader sees all or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.fingerprints import fingerprint_rows, read_fingerprints
from grpo_pipeline.feedback.queries import window_query
from grpo_pipeline.feedback.snapshot import Snapshot
from grpo_pipeline.feedback.tables import Table
from grpo_pipeline.weeks import Week

# Two groups are in memory at a time; larger ones compress no better.
ROW_GROUP_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class ExtractionResult:
    """What was extracted: rows, the week's fingerprint, and the database's snapshot and time that both belong to."""

    rows: int
    fingerprint: str
    snapshot: str
    extracted_at: datetime


def extract_week(snapshot: Snapshot, table: Table, week: Week, target: Path) -> ExtractionResult:
    """Write one week of a table to `target`, ordered by creation time and id.

    Raises:
        PipelineError: the database breaks off or lacks a column, or the file cannot be written; `target` is as before.
    """
    state, moment = snapshot.rows("select pg_current_snapshot()::text as state, clock_timestamp() as moment")[0]
    fingerprint = read_fingerprints(snapshot, week, week)[table.name][week.key]
    schema, batches = snapshot.stream(window_query(table.name, week.start, week.end))
    _check_schema(table, schema)
    rows = _write(target, table.schema, batches)
    if rows != fingerprint_rows(fingerprint):
        raise PipelineError(
            f"{table.name} of week {week.key} came with {rows} of {fingerprint_rows(fingerprint)} rows: "
            "the connection lost some; run this again."
        )
    assert isinstance(moment, datetime)
    return ExtractionResult(rows, fingerprint, str(state), moment.astimezone(UTC))


def _check_schema(table: Table, found: pa.Schema) -> None:
    for wanted in table.schema:
        index = found.get_field_index(wanted.name)
        if index < 0 or found.field(index).type != wanted.type:
            kind = "missing" if index < 0 else f"of type {found.field(index).type} instead of {wanted.type}"
            raise PipelineError(
                f"Column {table.name}.{wanted.name} is {kind}: run `grpo-pipeline db migrate`, or restore the query "
                f"sql/queries/{table.name}.sql."
            )


def _write(target: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".extracting-", delete=False) as handle:
            written = Path(handle.name)
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        rows = _write_row_groups(written, schema, batches)
        with written.open("rb+") as handle:
            os.fsync(handle.fileno())
        written.chmod(0o644)
        written.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        written.unlink(missing_ok=True)
    return rows


def _write_row_groups(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    """Compress one row group while the rows of the next arrive, and never hold more than these two."""
    rows = 0
    writing: Future[None] | None = None
    with (
        ThreadPoolExecutor(max_workers=1) as compressor,
        pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer,
    ):
        for group in _row_groups(schema, batches):
            if writing is not None:
                writing.result()
            writing = compressor.submit(writer.write_table, group)
            rows += group.num_rows
        if writing is not None:
            writing.result()
    return rows


def _row_groups(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Row groups by bytes, so that memory stays the same however long the texts are."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        # The driver's own notes on each column are left out: they are no part of the contract.
        waiting.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        size += batch.nbytes
        if size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _unwritable(target: Path, error: OSError) -> PipelineError:
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return PipelineError(f"{target} cannot be written ({reason}): free some space or give write access, then retry.")
