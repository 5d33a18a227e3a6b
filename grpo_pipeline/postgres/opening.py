"""Opening one connection so that it works through every kind of pooler."""

from __future__ import annotations

import psycopg

from grpo_pipeline.postgres.problems import connection_problem
from grpo_pipeline.postgres.urls import normalize_database_url


def connect(url: str, *, autocommit: bool = False) -> psycopg.Connection:
    """A connection without prepared statements, which a transaction pooler would lose between transactions.

    Raises:
        PipelineError: the URL is wrong, the host cannot be reached, or the login is refused.
    """
    normal = normalize_database_url(url)
    try:
        return psycopg.connect(normal, prepare_threshold=None, autocommit=autocommit)
    except psycopg.Error as error:
        raise connection_problem(str(error), normal) from error
