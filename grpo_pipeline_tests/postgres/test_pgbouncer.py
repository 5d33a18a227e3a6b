from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import connect, transaction
from grpo_pipeline.postgres.migrations import known_migrations, migrate, pending


def through(url: str, port: int) -> str:
    return url.replace(f":{urlsplit(url).port}/", f":{port}/")


def test_many_clients_share_two_server_connections(pgbouncer_url: str) -> None:
    def work(client: int) -> int:
        with connect(pgbouncer_url, autocommit=True) as database:
            for number in range(30):
                with database.transaction():
                    database.execute("set local statement_timeout = '5s'")
                    database.execute(
                        "insert into agent_feedback (feedback_type, prompt, response) values ('comment', %s, %s)",
                        [str(client), str(number)],
                    )
        return 30

    with ThreadPoolExecutor(6) as pool:
        written = sum(pool.map(work, range(6)))
    with transaction(pgbouncer_url) as database:
        assert database.execute(
            "select count(*), current_setting('statement_timeout') from agent_feedback"
        ).fetchone() == (
            written,
            "0",
        )


def test_migrations_run_through_it_and_leave_no_lock(empty_database_url: str, pgbouncer_port: int) -> None:
    url = through(empty_database_url, pgbouncer_port)
    with ThreadPoolExecutor(3) as pool:
        applied = list(pool.map(migrate, [url] * 3))
    assert sorted(name for names in applied for name in names) == [migration.name for migration in known_migrations()]
    assert pending(url) == []
    with transaction(url) as database:
        assert database.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone() == (0,)


def test_an_option_of_another_tool_does_no_harm(pgbouncer_url: str) -> None:
    with transaction(pgbouncer_url + "&pgbouncer=true&connection_limit=1&prepareThreshold=0") as database:
        assert database.execute("select 1").fetchone() == (1,)


def test_a_wrong_password_is_named_as_such(pgbouncer_url: str) -> None:
    parts = urlsplit(pgbouncer_url)
    with pytest.raises(PipelineError, match="refused the user or the password"):
        connect(pgbouncer_url.replace(f":{parts.password}@", ":wrong@"))
