"""Applies `sql/migrations/*.sql` in order: each file once, in one transaction, and never changed afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.opening import connect
from grpo_pipeline.postgres.problems import database_problem
from grpo_pipeline.postgres.sql_files import sql_folder
from grpo_pipeline.postgres.urls import redact_url

# Any constant serves, as long as every version of this project uses the same one.
_LOCK = 7_301_182_026
_TABLE = "grpo_pipeline.applied_migrations"
_SHIM_NEEDED = """
select to_regnamespace('auth') is null
    or to_regclass('auth.users') is null
    or to_regprocedure('auth.uid()') is null
    or (select count(*) from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', 'service_role')) < 3
"""


@dataclass(frozen=True)
class Migration:
    """One file of SQL, known by its name and by what it holds."""

    name: str
    sql: str
    checksum: str


def known_migrations(folder: Path | None = None) -> list[Migration]:
    """The migrations that this version brings, in the order in which they apply."""
    files = sorted((folder or sql_folder() / "migrations").glob("*.sql"))
    return [_read(file) for file in files]


def pending(url: str, folder: Path | None = None) -> list[str]:
    """The names of the migrations that the database lacks.

    Raises:
        PipelineError: the database cannot be read, or an applied file has changed since.
    """
    with _connected(url) as connection:
        applied = _applied(connection, url)
    return [migration.name for migration in _missing(known_migrations(folder), applied, url)]


def migrate(url: str, folder: Path | None = None) -> list[str]:
    """Bring the database up to this version and return the names of the files that were applied now.

    Two that migrate at once wait for each other. A plain Postgres gets what Supabase would have first.

    Raises:
        PipelineError: the database cannot be changed, an applied file has changed since, or a file fails; then
            nothing of that file is applied.
    """
    known = known_migrations(folder)
    with _connected(url) as connection:
        missing = _missing(known, _applied(connection, url), url)
        if not missing:
            return []
        _apply_shim(connection, url)
        return [migration.name for migration in missing if _apply(connection, migration, url)]


def _read(file: Path) -> Migration:
    sql = file.read_text("utf-8")
    return Migration(file.name, sql, hashlib.sha256(sql.encode()).hexdigest())


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    connection = connect(url)
    try:
        yield connection
    except psycopg.Error as error:
        raise database_problem(error, url) from error
    finally:
        connection.close()


def _applied(connection: psycopg.Connection, url: str) -> dict[str, str]:
    """Checksum by name of what the database has."""
    with connection.transaction():
        if connection.execute("select to_regclass(%s)", [_TABLE]).fetchone() == (None,):
            return {}
        return dict(connection.execute(f"select name, checksum from {_TABLE}").fetchall())


def _missing(known: list[Migration], applied: dict[str, str], url: str) -> list[Migration]:
    shown = redact_url(url)
    unknown = sorted(applied.keys() - {migration.name for migration in known})
    if unknown:
        raise PipelineError(
            f"The database {shown} already has {unknown[-1]}, which this version does not know: update grpo_pipeline."
        )
    for migration in known:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise PipelineError(
                f"The migration {migration.name} has changed since it was applied to {shown}: "
                "restore the file and put the change into a new migration."
            )
    return [migration for migration in known if migration.name not in applied]


def _apply_shim(connection: psycopg.Connection, url: str) -> None:
    shim = _read(sql_folder() / "local" / "supabase_shim.sql")
    with _locked_transaction(connection):
        needed = connection.execute(_SHIM_NEEDED).fetchone()
        if needed == (True,):
            _run(connection, shim, url)


def _apply(connection: psycopg.Connection, migration: Migration, url: str) -> bool:
    with _locked_transaction(connection):
        connection.execute(
            "create schema if not exists grpo_pipeline;"
            f"create table if not exists {_TABLE} (name text primary key, checksum text not null,"
            " applied_at timestamptz not null default clock_timestamp())"
        )
        # Someone else may have applied it while this one waited for the lock.
        if connection.execute(f"select from {_TABLE} where name = %s", [migration.name]).fetchone() is not None:
            return False
        _run(connection, migration, url)
        connection.execute(
            f"insert into {_TABLE} (name, checksum) values (%s, %s)", [migration.name, migration.checksum]
        )
        return True


@contextmanager
def _locked_transaction(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction that holds the lock of the migrations: a session's lock would outlive it behind a pooler."""
    with connection.transaction():
        connection.execute("set local statement_timeout = 0")
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        connection.execute("set local client_min_messages = warning")
        # Waiting for that lock does not refresh what the server remembers of schemas and tables; reading any one does.
        connection.execute("select from pg_catalog.pg_namespace limit 0")
        yield


def _run(connection: psycopg.Connection, migration: Migration, url: str) -> None:
    try:
        connection.execute(migration.sql.encode())
    except psycopg.Error as error:
        said = error.diag.message_primary or "no reason given"
        raise PipelineError(
            f"The migration {migration.name} failed on {redact_url(url)} and nothing of it was applied: {said}. "
            "See that its tables are not there already in another shape and that the user may create tables and roles."
        ) from error
