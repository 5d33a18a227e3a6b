from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.embedded_files import installed_programs
from grpo_pipeline.postgres.migrations import known_migrations, migrate, pending
from grpo_pipeline.postgres.sql_files import sql_folder
from grpo_pipeline_tests.postgres_fixtures import Server, debian_server, embedded_server
from grpo_pipeline_tests.system_packages import require_program

NAMES = [migration.name for migration in known_migrations()]
SCHEMA = """
    select 'column', table_name, column_name, data_type, coalesce(column_default, ''), is_nullable
      from information_schema.columns where table_schema in ('public', 'private')
    union all
    select 'trigger', tgrelid::regclass::text, tgname, tgfoid::regproc::text, tgtype::text, '' from pg_trigger
      where not tgisinternal and tgrelid::regclass::text !~ '^pg_'
    union all
    select 'rule', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' from pg_constraint
      where connamespace = 'public'::regnamespace
    union all
    select 'index', tablename, indexname, indexdef, '', '' from pg_indexes where schemaname = 'public'
    union all
    select 'policy', tablename, policyname, roles::text, cmd, coalesce(qual, '') from pg_policies
    union all
    select 'grant', table_name, grantee, privilege_type, '', '' from information_schema.role_table_grants
      where table_schema = 'public'
    order by 1, 2, 3, 4, 5, 6
"""


def schema(url: str) -> list[tuple[str, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(SCHEMA).fetchall()


def test_every_migration_has_a_name_that_the_supabase_cli_takes() -> None:
    assert all(re.fullmatch(r"[0-9]{14}_[a-z_]+\.sql", name) for name in NAMES)
    assert len(NAMES) >= 4


def test_a_migration_uses_nothing_that_only_one_tool_understands() -> None:
    for migration in known_migrations():
        lines = [line.split("--")[0].strip().lower() for line in migration.sql.splitlines()]
        assert not [line for line in lines if line.startswith(("\\", "begin;", "commit;", "vacuum", "alter system"))]
        assert not [line for line in lines if " concurrently " in line]


def test_an_empty_database_gets_everything_once(empty_database_url: str) -> None:
    assert pending(empty_database_url) == NAMES
    assert migrate(empty_database_url) == NAMES
    assert migrate(empty_database_url) == []
    assert pending(empty_database_url) == []


def test_two_that_migrate_at_once_apply_each_file_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [empty_database_url] * 4))
    assert sorted(name for names in applied for name in names) == NAMES


@pytest.mark.parametrize("version", ["18", "15"])
def test_psql_applies_the_same_files_and_migrate_takes_over(request: pytest.FixtureRequest, version: str) -> None:
    server = request.getfixturevalue({"18": "postgres_server", "15": "postgres_15_server"}[version])
    psql = str(installed_programs() / "psql") if version == "18" else require_program("psql", "postgresql-client")
    with server.fresh_database() as by_psql, server.fresh_database("migrated") as by_migrate:
        for file in [sql_folder() / "local" / "supabase_shim.sql", *sorted((sql_folder() / "migrations").iterdir())]:
            command = [psql, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(file), by_psql]
            subprocess.run(command, check=True, capture_output=True)
        assert schema(by_psql) == schema(by_migrate)
        assert migrate(by_psql) == NAMES
        assert schema(by_psql) == schema(by_migrate)


@pytest.mark.parametrize("start", [embedded_server, debian_server], ids=["18", "15"])
def test_the_owner_of_a_supabase_project_who_is_no_superuser_can_migrate(
    start: Callable[[], AbstractContextManager[Server]],
) -> None:
    with start() as server:
        server.run("create role owner login createrole createdb bypassrls password 'pw'")
        server.run("create database project owner owner")
        with psycopg.connect(server.database("project"), autocommit=True) as administrator:
            administrator.execute((sql_folder() / "local" / "supabase_shim.sql").read_bytes())
            administrator.execute("grant all on schema auth to owner; grant all on all tables in schema auth to owner")
        url = as_owner(server)
        assert migrate(url) == NAMES
        with psycopg.connect(url) as owner:
            owner.execute("insert into agent_feedback (feedback_type, prompt, response) values ('comment', 'p', 'r')")
            owner.execute("set local role feedback_extractor")
            assert owner.execute("select count(*) from agent_feedback").fetchone() == (1,)


def as_owner(server: Server) -> str:
    address = server.database("project").split("@", 1)[1]
    return f"postgresql://owner:pw@{address}"


def test_a_file_that_changed_after_it_was_applied_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    folder = copy_of_migrations(tmp_path)
    migrate(empty_database_url, folder)
    first = folder / NAMES[0]
    first.write_text(first.read_text() + "\n-- changed\n")
    with pytest.raises(PipelineError, match=f"{NAMES[0]} has changed since it was applied"):
        migrate(empty_database_url, folder)
    with pytest.raises(PipelineError, match="new migration"):
        pending(empty_database_url, folder)


def test_a_file_that_fails_leaves_nothing_of_itself(empty_database_url: str, tmp_path: Path) -> None:
    folder = copy_of_migrations(tmp_path)
    (folder / "20991231000000_bad.sql").write_text("create table public.half (a int); select 1 / 0;")
    with pytest.raises(
        PipelineError, match="20991231000000_bad.sql failed .* nothing of it was applied: division by zero"
    ):
        migrate(empty_database_url, folder)
    assert pending(empty_database_url, folder) == ["20991231000000_bad.sql"]
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("select to_regclass('public.half')").fetchone() == (None,)


def test_a_database_that_is_ahead_of_the_program_is_left_alone(empty_database_url: str, tmp_path: Path) -> None:
    folder = copy_of_migrations(tmp_path)
    (folder / "20991231000000_later.sql").write_text("create table public.later (a int)")
    migrate(empty_database_url, folder)
    with pytest.raises(PipelineError, match="20991231000000_later.sql, which this version does not know: update"):
        migrate(empty_database_url)


def test_a_table_of_the_same_name_in_another_shape_is_explained(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("create table public.agent_feedback (id int)")
    with pytest.raises(PipelineError, match="already in another shape"):
        migrate(empty_database_url)


def test_an_auth_schema_that_is_there_stays_as_it_is(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("create or replace function auth.uid() returns uuid language sql as $$ select null::uuid $$")
        connection.execute("delete from grpo_pipeline.applied_migrations")
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        (row,) = connection.execute("select prosrc from pg_proc where oid = 'auth.uid'::regproc").fetchall()
    assert row == (" select null::uuid ",)


def copy_of_migrations(tmp_path: Path) -> Path:
    return Path(shutil.copytree(sql_folder() / "migrations", tmp_path / "migrations"))
