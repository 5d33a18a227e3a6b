"""Connections to the feedback database, the same for the embedded server, a direct URL and both kinds of pooler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from grpo_pipeline.config import Settings
from grpo_pipeline.postgres.embedded import EmbeddedPostgres
from grpo_pipeline.postgres.migrations import migrate
from grpo_pipeline.postgres.opening import connect
from grpo_pipeline.postgres.problems import database_problem
from grpo_pipeline.postgres.urls import normalize_database_url

__all__ = ["connect", "embedded_server", "resolve_database_url", "transaction"]


def embedded_server(settings: Settings) -> EmbeddedPostgres:
    """The server that belongs to the home folder, running or not."""
    return EmbeddedPostgres(settings.home / "postgres")


def resolve_database_url(settings: Settings) -> str:
    """The URL of the feedback database: GRPO_DATABASE_URL, or the embedded server, started and migrated on demand.

    Raises:
        PipelineError: the URL is no Postgres URL, or the embedded server cannot start.
    """
    if settings.database_url:
        return normalize_database_url(settings.database_url)
    url = embedded_server(settings).start()
    migrate(url)
    return url


@contextmanager
def transaction(url: str) -> Iterator[psycopg.Connection]:
    """One connection with one transaction: committed at the end, rolled back on any error, closed either way.

    Raises:
        PipelineError: the database cannot be reached, or refuses a statement; the message says why.
    """
    connection = connect(url)
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        raise database_problem(error, url) from error
