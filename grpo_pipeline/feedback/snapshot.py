"""One read-only transaction over ADBC that sees one state of the database, on direct and on pooled connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from psycopg import OperationalError, errors

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.queries import BECOME_EXTRACTOR, OPEN_SNAPSHOT
from grpo_pipeline.postgres.problems import connection_problem, database_problem
from grpo_pipeline.postgres.urls import normalize_database_url

if TYPE_CHECKING:
    from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]

BATCH_BYTES = 4 * 1024 * 1024


class Snapshot:
    """Runs queries within one transaction of one connection."""

    def __init__(self, cursor: dbapi.Cursor, url: str) -> None:
        self._cursor = cursor
        self._url = url

    def stream(self, query: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The columns of a result and its rows, in batches of about 4 MB as they arrive.

        Raises:
            PipelineError: at once where the query cannot run, and from the batches where the connection breaks.
        """
        with _explained(self._url):
            self._cursor.adbc_statement.set_options(
                **{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)},
            )
            self._cursor.execute(query)
            reader = self._cursor.fetch_record_batch()
        return reader.schema, self._batches(reader)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """All rows of a small result."""
        with _explained(self._url):
            self._cursor.execute(query)
            found: list[tuple[object, ...]] = self._cursor.fetchall()
            return found

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        while True:
            with _explained(self._url):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                except OSError as error:
                    # What the stream reports in the middle of a result comes without a code.
                    raise connection_problem(str(error), self._url) from error
            yield batch


@contextmanager
def open_snapshot(url: str) -> Iterator[Snapshot]:
    """A transaction that ends, and gives up all it set, when the block is left.

    Raises:
        PipelineError: the database cannot be reached.
    """
    # It brings pandas along: half a second that every command and the code location would wait for.
    from adbc_driver_postgresql import dbapi

    normal = normalize_database_url(url)
    with _explained(normal):
        connection = dbapi.connect(normal)
    try:
        with connection.cursor() as cursor:
            with _explained(normal):
                cursor.executescript(OPEN_SNAPSHOT)
                cursor.execute(BECOME_EXTRACTOR)
                cursor.fetchall()
            yield Snapshot(cursor, normal)
    finally:
        _close(connection)


def _close(connection: dbapi.Connection) -> None:
    try:
        connection.close()
    except AdbcError:
        # The connection broke; whatever broke it is already on its way to the caller.
        return


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns the driver's errors into sentences."""
    try:
        yield
    except AdbcError as error:
        raise _problem(error, url) from error


def _problem(error: AdbcError, url: str) -> PipelineError:
    # The full message quotes the whole query; the primary one is a line.
    said = [text for name, text in error.details if name in ("PG_DIAG_MESSAGE_PRIMARY", b"PG_DIAG_MESSAGE_PRIMARY")]
    message = said[0].decode() if said else str(error)
    try:
        kind = errors.lookup(error.sqlstate or "")
    except KeyError:
        kind = OperationalError
    return database_problem(kind(message), url)
