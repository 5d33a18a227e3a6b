"""Week fingerprints: a short text that changes with every row of a week that is added, edited or deleted."""

from __future__ import annotations

from grpo_pipeline.feedback.queries import window_query
from grpo_pipeline.feedback.snapshot import Snapshot
from grpo_pipeline.feedback.tables import TABLES, TableName
from grpo_pipeline.weeks import Week, weeks_between

Fingerprints = dict[TableName, dict[str, str]]

_SIXTY_FOUR_BITS = (1 << 64) - 1
EMPTY_FINGERPRINT = f"0:{0:016x}"


def read_fingerprints(snapshot: Snapshot, first: Week, last: Week) -> Fingerprints:
    """The fingerprint of every week from `first` to `last`, by table and week, weeks without rows included."""
    found: Fingerprints = {
        table: {week.key: EMPTY_FINGERPRINT for week in weeks_between(first, last)} for table in TABLES
    }
    for table, week, count, digest in snapshot.rows(window_query("fingerprints", first.start, last.end)):
        found[table][str(week)] = f"{count}:{int(str(digest)) & _SIXTY_FOUR_BITS:016x}"  # type: ignore[index]
    return found


def fingerprint_rows(fingerprint: str) -> int:
    """How many rows a week with this fingerprint has."""
    return int(fingerprint.partition(":")[0])
