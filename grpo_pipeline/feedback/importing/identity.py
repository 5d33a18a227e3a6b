"""Ids and times of imported rows, made from their content, so that importing again changes nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from grpo_pipeline.artifacts import canonical_json
from grpo_pipeline.feedback.importing.drafts import CheckedFeedback
from grpo_pipeline.weeks import ONE_WEEK, Week

NAMESPACE = UUID("6f5a3c0e-6c3b-5d0e-9f43-0d8a4f1c7b21")
MICROSECOND = timedelta(microseconds=1)


class RowIds:
    """Gives each row an id made from its content and its rank among equal rows of the same source.

    Rows that are equal stay apart, and neither the order of the rows nor rows that are added later change an id.
    """

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def next(self, row: CheckedFeedback) -> UUID:
        """The id of one more row."""
        digest = hashlib.sha256(canonical_json(astuple(row)).encode()).digest()
        rank = self._seen[digest]
        self._seen[digest] += 1
        return uuid5(NAMESPACE, f"{digest.hex()}:{rank}")


def spread_time(row_id: UUID, weeks: Sequence[Week]) -> datetime:
    """The moment within the weeks that an id falls on, to the microsecond; many ids cover the weeks evenly."""
    digest = hashlib.sha256(row_id.bytes).digest()
    week = weeks[int.from_bytes(digest[:8]) % len(weeks)]
    return week.start + (int.from_bytes(digest[8:16]) % (ONE_WEEK // MICROSECOND)) * MICROSECOND
