"""Imports existing preference data as feedback, spread over weeks: the same source twice changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.importing.drafts import check_draft
from grpo_pipeline.feedback.importing.faults import RecordError
from grpo_pipeline.feedback.importing.formats import parse_record
from grpo_pipeline.feedback.importing.identity import RowIds, spread_time
from grpo_pipeline.feedback.importing.loading import FeedbackLoader, ImportedRow, Loaded
from grpo_pipeline.feedback.importing.reading import SourceRecord
from grpo_pipeline.feedback.importing.rejects import RejectsFile
from grpo_pipeline.feedback.importing.sources import read_source
from grpo_pipeline.postgres.connection import transaction
from grpo_pipeline.weeks import Week

BATCH_ROWS = 5_000
BATCH_CHARACTERS = 16_000_000

Progress = Callable[[int, float | None], None]


@dataclass(frozen=True)
class ImportReport:
    """What became of every record of a source: read = imported + present + erased + rejected."""

    read: int
    imported: int
    present: int
    erased: int
    rejected: int
    by_format: dict[str, int]
    by_type: dict[str, int]
    reasons: dict[str, int]
    rejects_file: Path | None


@dataclass
class _Tally:
    read: int = 0
    loaded: Loaded = field(default_factory=Loaded)
    by_format: Counter[str] = field(default_factory=Counter)
    by_type: Counter[str] = field(default_factory=Counter)


def import_feedback(
    url: str,
    source: str,
    weeks: Sequence[Week],
    rejects_path: Path,
    *,
    split: str = "train",
    create_users: bool = False,
    on_progress: Progress = lambda read, share: None,
) -> ImportReport:
    """Load every usable record of a source as a row of feedback, all of them in one transaction.

    A record's id follows from its content and its time from its id, unless it has a time of its own.

    Args:
        url: database of the feedback, as its owner.
        source: a file, or a data set on the Hub.
        weeks: the weeks to spread the records over.
        rejects_path: where lines and reasons of the rejected records go; no file where all were good.
        split: split of a data set on the Hub.
        create_users: add users that the database does not know, instead of rejecting their records.
        on_progress: called with the records read so far, and the share of the source where it is known.

    Raises:
        PipelineError: the source or the database cannot be used, or nothing could be imported.
    """
    records = read_source(source, split)
    tally = _Tally()
    with RejectsFile(rejects_path) as rejects, transaction(url) as connection:
        loader = FeedbackLoader(connection, create_users)
        for batch in _batches(_rows(records, weeks, rejects, tally, on_progress)):
            loaded = loader.load(batch)
            tally.loaded.add(loaded)
            for line, reason in loaded.refused:
                rejects.add(line, reason)
    if not tally.read:
        raise PipelineError(f"{source} holds no records.")
    if rejects.count == tally.read:
        raise PipelineError(
            f"None of the {tally.read} records of {source} could be imported, most often because: "
            f"{rejects.reasons.most_common(1)[0][0]}. Every line and reason is in {rejects_path}."
        )
    return ImportReport(
        read=tally.read,
        imported=tally.loaded.new,
        present=tally.loaded.present,
        erased=tally.loaded.erased,
        rejected=rejects.count,
        by_format=dict(tally.by_format),
        by_type=dict(tally.by_type),
        reasons=dict(rejects.reasons.most_common()),
        rejects_file=rejects_path if rejects.count else None,
    )


def _rows(
    records: Iterator[SourceRecord], weeks: Sequence[Week], rejects: RejectsFile, tally: _Tally, on_progress: Progress
) -> Iterator[ImportedRow]:
    ids = RowIds()
    now = datetime.now(UTC)
    for record in records:
        tally.read += 1
        on_progress(tally.read, record.progress)
        try:
            if record.fault:
                raise record.fault
            form, draft = parse_record(record.value)
            feedback = check_draft(draft, now)
        except RecordError as fault:
            rejects.add(record.line, str(fault))
            continue
        tally.by_format[form] += 1
        tally.by_type[feedback.feedback_type] += 1
        row_id = ids.next(feedback)
        yield ImportedRow(record.line, row_id, feedback.created_at or spread_time(row_id, weeks), feedback)


def _batches(rows: Iterator[ImportedRow]) -> Iterator[list[ImportedRow]]:
    batch: list[ImportedRow] = []
    characters = 0
    for row in rows:
        batch.append(row)
        feedback = row.feedback
        characters += len(feedback.prompt) + len(feedback.response) + len(feedback.corrections or "")
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    yield batch
