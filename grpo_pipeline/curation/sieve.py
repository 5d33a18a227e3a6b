"""Keeps the books of a curation: every row is either still kept or set aside once, with the rule that did it."""

from __future__ import annotations

import logging
import time

import polars as pl

QUARANTINE_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "table": pl.String(),
    "rule": pl.String(),
    "detail": pl.String(),
    "week": pl.String(),
    "user_id": pl.String(),
}
_logger = logging.getLogger(__name__)


class Sieve:
    """The rows of one table on their way through the rules."""

    def __init__(self, rows: pl.DataFrame, table: str) -> None:
        """Args: rows: any order, with `id`, `created_at` and `user_id`. table: where they come from."""
        # Everything after this depends on the order of rows, and rows come in any.
        self.kept = rows.sort("created_at", "id", nulls_last=True).with_row_index("row")
        self._table = table
        self._read = len(rows)
        self._aside = [pl.DataFrame(schema=QUARANTINE_SCHEMA)]
        self._since = time.perf_counter()

    def set_aside(self, failed: pl.DataFrame, stage: str) -> None:
        """Move rows to the quarantine.

        Args:
            failed: `row`, `rule` and `detail`, the latter without any text of users; the first line of a row counts.
            stage: what was looked for, for the log.
        """
        once = failed.unique("row", keep="first", maintain_order=True)
        week = pl.col("created_at").dt.truncate("1w").dt.strftime("%Y-%m-%d")
        aside = self.kept.select("row", "id", "user_id", week=week).join(once, on="row", maintain_order="left")
        self._aside.append(aside.with_columns(table=pl.lit(self._table)).select(QUARANTINE_SCHEMA.keys()))
        self.kept = self.kept.join(once, on="row", how="anti", maintain_order="left") if len(once) else self.kept
        self.log(stage)

    def log(self, stage: str) -> None:
        """Note how long the stage just ended took."""
        now = time.perf_counter()
        _logger.debug("%s: %s took %.3f s, %d rows kept", self._table, stage, now - self._since, len(self.kept))
        self._since = now

    @property
    def quarantine(self) -> pl.DataFrame:
        """All that was set aside: id, table, rule, detail, week, user_id."""
        return pl.concat(self._aside)

    def counts(self) -> dict[str, int]:
        """Rows read, kept and set aside by rule, which add up."""
        by_rule = self.quarantine.group_by("rule").len().sort("rule")
        aside = {f"{self._table}.{rule}": count for rule, count in by_rule.iter_rows()}
        if self._read != len(self.kept) + sum(aside.values()):
            raise AssertionError(f"{self._table}: {self._read} rows read, {len(self.kept)} kept, set aside {aside}")
        return {f"{self._table}.read": self._read, f"{self._table}.kept": len(self.kept), **aside}
