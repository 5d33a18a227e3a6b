"""Databases for tests: one throw-away server a session, one fresh migrated database a test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from grpo_pipeline.postgres.embedded import EmbeddedPostgres
from grpo_pipeline.postgres.migrations import migrate

_names = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running server: its administrator's URL, and databases made from a migrated template."""

    url: str

    def database(self, name: str) -> str:
        """The URL of one of its databases."""
        return self.url.replace("/postgres?", f"/{name}?")

    def run(self, statement: str) -> None:
        """Run one statement as the administrator."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def fresh_database(self, template: str = "template0") -> str:
        """The URL of a new database."""
        name = f"test_{next(_names)}"
        self.run(f"create database {name} template {template}")
        return self.database(name)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A throw-away embedded server, with a migrated database `migrated` to make others from."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), ephemeral=True)
    server = Server(embedded.start())
    server.run("create database migrated")
    migrate(server.database("migrated"))
    yield server
    embedded.stop()


@pytest.fixture
def empty_database_url(postgres_server: Server) -> Iterator[str]:
    """A new database without any tables."""
    url = postgres_server.fresh_database()
    yield url
    _drop(postgres_server, url)


@pytest.fixture
def database_url(postgres_server: Server) -> Iterator[str]:
    """A new migrated database without any rows."""
    url = postgres_server.fresh_database("migrated")
    yield url
    _drop(postgres_server, url)


def _drop(server: Server, url: str) -> None:
    name = Path(url.split("?")[0]).name
    server.run(f"drop database if exists {name} with (force)")
