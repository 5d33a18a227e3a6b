"""The SQL is tested on the newest and on the oldest server that it promises to run on."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from grpo_pipeline_tests.postgres_fixtures import Server


@pytest.fixture(params=["postgres_server", "postgres_15_server"], ids=["18", "15"])
def server(request: pytest.FixtureRequest) -> Server:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Server)
    return server


@pytest.fixture
def database(server: Server) -> Iterator[psycopg.Connection]:
    """A migrated database in a transaction that is rolled back: a database of its own for every test takes longer."""
    with (
        psycopg.connect(server.database("scratch"), autocommit=True) as connection,
        connection.transaction(force_rollback=True),
    ):
        yield connection


@pytest.fixture
def fresh_database(server: Server) -> Iterator[psycopg.Connection]:
    """A migrated database of the test's own, where every statement is committed."""
    with server.fresh_database("migrated") as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection
