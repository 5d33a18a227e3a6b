from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.urls import (
    host_of,
    normalize_database_url,
    redact_url,
    split_password,
    sqlalchemy_url,
)

REMOTE = "?sslmode=require&connect_timeout=15"
LOCAL = "?connect_timeout=15"
DIRECT = "postgresql://postgres:pw@db.abcdefgh.supabase.co:5432/postgres"
SESSION_POOLER = "postgres://postgres.abcdefgh:pw@aws-0-eu-central-1.pooler.supabase.com:5432/postgres"
TRANSACTION_POOLER = (
    "postgres://postgres.abcdefgh:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true"
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("given_url", "normal"),
    [
        (DIRECT, DIRECT + REMOTE),
        (SESSION_POOLER, SESSION_POOLER.replace("postgres://", "postgresql://") + REMOTE),
        (
            TRANSACTION_POOLER,
            "postgresql://postgres.abcdefgh:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres" + REMOTE,
        ),
        ("postgresql+psycopg2://u:p@127.0.0.1:5432/d", "postgresql://u:p@127.0.0.1:5432/d" + LOCAL),
        ("postgres://u:p@localhost", "postgresql://u:p@localhost/postgres" + LOCAL),
        ("postgres://u:p@[::1]:5432/d", "postgresql://u:p@[::1]:5432/d" + LOCAL),
        ("postgres://u:p@[2001:db8::1]:5432/d", "postgresql://u:p@[2001:db8::1]:5432/d" + REMOTE),
        ("postgres:///d?host=/run/postgresql", "postgresql:///d?host=%2Frun%2Fpostgresql&connect_timeout=15"),
        (
            "postgres://u:p@h/d?prepareThreshold=0&connection_limit=1&schema=public&application_name=x",
            "postgresql://u:p@h/d?application_name=x&sslmode=require&connect_timeout=15",
        ),
        ("postgres://u:p@h/d?sslmode=disable", "postgresql://u:p@h/d?sslmode=require&connect_timeout=15"),
        ("postgres://u:p@h/d?sslmode=prefer", "postgresql://u:p@h/d?sslmode=require&connect_timeout=15"),
        (
            "postgres://u:p@h/d?sslmode=verify-full&sslrootcert=/etc/ca.crt&connect_timeout=3",
            "postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.crt&connect_timeout=3",
        ),
        (
            "postgres://u:p@127.0.0.1/d?sslmode=disable",
            "postgresql://u:p@127.0.0.1/d?sslmode=disable&connect_timeout=15",
        ),
        (' "postgres://u:p@localhost/d" ', "postgresql://u:p@localhost/d" + LOCAL),
        ("postgres://u:a@b:c/d?e#f@localhost/d", "postgresql://u:a%40b%3Ac%2Fd%3Fe%23f@localhost/d" + LOCAL),
        ("postgres://u:a%40b@localhost/d", "postgresql://u:a%40b@localhost/d" + LOCAL),
    ],
)
def test_every_spelling_comes_out_as_one_that_every_driver_takes(given_url: str, normal: str) -> None:
    assert normalize_database_url(given_url) == normal
    assert normalize_database_url(normal) == normal
    assert conninfo_to_dict(normal)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mysql://u:p@h/d",
        "host=localhost dbname=d",
        "postgres://u:p@h:port/d",
        "postgres//u@h",
        "https://x.supabase.co",
    ],
)
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(PipelineError, match="GRPO_DATABASE_URL") as refused:
        normalize_database_url(text)
    assert not text or text not in str(refused.value)
    assert redact_url(text) == "(not a Postgres URL)"


def test_the_placeholder_that_the_dashboard_shows_is_noticed() -> None:
    with pytest.raises(PipelineError, match="placeholder"):
        normalize_database_url("postgresql://postgres:[YOUR-PASSWORD]@db.abcdefgh.supabase.co:5432/postgres")


def test_the_password_is_never_shown() -> None:
    shown = redact_url("postgres://user:s3cret@host:6543/db?pgbouncer=true&password=s3cret")
    assert shown == "postgresql://user:***@host:6543/db"


def test_the_parts_that_messages_and_other_tools_need() -> None:
    assert host_of(DIRECT) == "db.abcdefgh.supabase.co"
    assert split_password(DIRECT) == (DIRECT.replace(":pw", "") + REMOTE, "pw")
    assert sqlalchemy_url(SESSION_POOLER).startswith("postgresql+psycopg://postgres.abcdefgh:pw@")


@given(user=TEXT, password=TEXT)
def test_any_user_and_password_arrive_as_they_are(user: str, password: str) -> None:
    normal = normalize_database_url(f"postgres://{quote(user, safe='')}:{quote(password, safe='')}@localhost/d")
    parts = conninfo_to_dict(normal)
    assert (parts["user"], parts["password"]) == (user, password)
    assert normalize_database_url(normal) == normal
    assert redact_url(normal) == redact_url(f"postgres://{quote(user, safe='')}:other@localhost/d?connect_timeout=15")


@given(password=TEXT.filter(lambda text: "%" not in text and "\n" not in text and not text.endswith(("'", '"'))))
def test_a_password_that_was_not_escaped_arrives_too(password: str) -> None:
    parts = conninfo_to_dict(normalize_database_url(f"postgres://user:{password}@localhost/d"))
    assert (parts["user"], parts["password"], parts["host"]) == ("user", password, "localhost")
