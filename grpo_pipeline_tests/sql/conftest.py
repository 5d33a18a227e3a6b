"""The SQL is tested on the newest and on the oldest server that it promises to run on."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from grpo_pipeline_tests.postgres_fixtures import Server


@pytest.fixture(params=["postgres_server", "postgres_15_server"], ids=["18", "15"])
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)


@pytest.fixture
def database_url(server: Server) -> Iterator[str]:
    with server.fresh_database("migrated") as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def scratch(server: Server) -> Iterator[psycopg.Connection]:
    """A transaction that is rolled back, for the many tests that a fresh database each would only slow down."""
    with psycopg.connect(server.database("scratch"), autocommit=True) as connection:
        with connection.transaction(force_rollback=True):
            yield connection
