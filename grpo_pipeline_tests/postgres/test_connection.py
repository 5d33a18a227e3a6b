from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import connect, embedded_server, resolve_database_url, transaction
from grpo_pipeline.postgres.migrations import pending
from grpo_pipeline.postgres.urls import split_password
from grpo_pipeline_tests.postgres_fixtures import free_port

FEEDBACK = "insert into agent_feedback (feedback_type, prompt, response) values ('comment', %s, 'r')"


def test_a_transaction_is_kept_whole_or_not_at_all(database_url: str) -> None:
    with transaction(database_url) as database:
        database.execute(FEEDBACK, ["kept"])
    with pytest.raises(RuntimeError), transaction(database_url) as database:
        database.execute(FEEDBACK, ["not kept"])
        raise RuntimeError
    with transaction(database_url) as database:
        assert database.execute("select prompt from agent_feedback").fetchall() == [("kept",)]


def changed(url: str, pattern: str, replacement: str) -> str:
    return re.sub(pattern, replacement, url, count=1)


def test_a_wrong_password_is_named_as_such_and_not_shown(database_url: str) -> None:
    _, password = split_password(database_url)
    with pytest.raises(PipelineError, match="refused the user or the password") as refused:
        connect(changed(database_url, r":[^:@]*@", ":wr0ng-one@"))
    assert "wr0ng-one" not in str(refused.value)
    assert password is not None
    with pytest.raises(PipelineError, match="no such database") as refused:
        connect(changed(database_url, r"/test_\d+", "/nowhere"))
    assert password not in str(refused.value)


def test_a_port_where_nothing_listens_is_named(database_url: str) -> None:
    port = free_port()
    with pytest.raises(PipelineError, match=f"No database answers at .*:{port}/"):
        connect(changed(database_url, r":\d+/", f":{port}/"))


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(PipelineError, match=r"host db\.nowhere\.invalid is unknown"):
        connect("postgresql://u:p@db.nowhere.invalid/postgres")


def test_an_unreachable_host_is_named() -> None:
    with pytest.raises(PipelineError, match=r"192\.0\.2\.1"):
        connect("postgresql://u:p@192.0.2.1/postgres?connect_timeout=2")


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(database_url: str) -> None:
    with pytest.raises(PipelineError, match="offers no TLS"):
        connect(database_url.replace("sslmode=disable", "sslmode=require"))


def test_missing_tables_and_columns_lead_to_the_migration(empty_database_url: str, database_url: str) -> None:
    told = "run `grpo-pipeline db migrate`"
    with pytest.raises(PipelineError, match=told), transaction(empty_database_url) as database:
        database.execute("select * from public.agent_feedback")
    with pytest.raises(PipelineError, match=told), transaction(database_url) as database:
        database.execute("select not_there from public.agent_feedback")


def test_a_refused_value_is_not_repeated(database_url: str) -> None:
    secret = "my private thoughts"
    with (
        pytest.raises(PipelineError, match="agent_feedback_type_known") as refused,
        transaction(database_url) as database,
    ):
        database.execute("insert into agent_feedback (feedback_type, prompt, response) values (%s, 'p', 'r')", [secret])
    assert secret not in str(refused.value)
    with pytest.raises(PipelineError, match="refused a value") as refused, transaction(database_url) as database:
        database.execute("select %s::text::int", [secret])
    assert secret not in str(refused.value)


def test_a_connection_that_breaks_off_is_named(database_url: str) -> None:
    with pytest.raises(PipelineError, match="broke off"), transaction(database_url) as database:
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", [database.info.backend_pid])
        database.execute("select 1")


def test_a_statement_that_takes_too_long_is_named(database_url: str) -> None:
    with pytest.raises(PipelineError, match="took too long"), transaction(database_url) as database:
        database.execute("set local statement_timeout = 10")
        database.execute("select pg_sleep(5)")


def test_the_database_is_the_given_one_or_the_embedded_one_ready_to_use(local_home: Path) -> None:
    given = Settings(home=local_home, database_url="postgres://u:p@localhost/d?pgbouncer=true")
    assert resolve_database_url(given) == "postgresql://u:p@localhost/d?connect_timeout=15"
    settings = Settings(home=local_home, database_url=None)
    try:
        url = resolve_database_url(settings)
        assert pending(url) == []
        assert resolve_database_url(settings) == url
    finally:
        embedded_server(settings).stop()
