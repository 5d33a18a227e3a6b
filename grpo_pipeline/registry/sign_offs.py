"""Which datasets a person looked at and let train."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from grpo_pipeline.postgres.connection import transaction
from grpo_pipeline.weeks import Week

LAST = """
select dataset_hash, signed_at, signed_by from private.dataset_sign_offs where week = %s order by id desc limit 1
"""
SIGN = """
insert into private.dataset_sign_offs (week, dataset_hash, signed_by) values (%s, %s, %s)
returning dataset_hash, signed_at, signed_by
"""


@dataclass(frozen=True)
class SignOff:
    """A dataset, by the hash of its pairs, with who let it train and when."""

    dataset_hash: str
    signed_at: datetime
    signed_by: str

    def covers(self, dataset_hash: str) -> bool:
        """Whether it is about this very dataset."""
        return self.dataset_hash == dataset_hash


class SignOffs:
    """The sign-offs in the feedback database; the last one of a week counts."""

    def __init__(self, url: str) -> None:
        self._url = url

    def last(self, week: Week) -> SignOff | None:
        """The sign-off of a week that counts; None where nobody signed.

        Raises:
            PipelineError: the database cannot be read.
        """
        with transaction(self._url) as connection, connection.cursor(row_factory=class_row(SignOff)) as cursor:
            return cursor.execute(LAST, (week.key,)).fetchone()

    def sign(self, week: Week, dataset_hash: str, by: str) -> SignOff:
        """Let a dataset train in place of any that was signed off for the week before.

        Raises:
            PipelineError: the database refuses it.
        """
        with transaction(self._url) as connection, connection.cursor(row_factory=class_row(SignOff)) as cursor:
            signed = cursor.execute(SIGN, (week.key, dataset_hash, by)).fetchone()
        assert signed is not None  # an insert that returns its row
        return signed
