"""Databases for tests: throw-away servers once a session, one fresh migrated database a test."""

from __future__ import annotations

import itertools
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.pq import PGconn, Ping

from grpo_pipeline.postgres.embedded import EmbeddedPostgres
from grpo_pipeline.postgres.migrations import migrate
from grpo_pipeline_tests.system_packages import require_program

_DEBIAN_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
# Ends the program when its standard input closes, so also when the tests are killed.
_UNTIL_INPUT_ENDS = '"$@" & read _; kill -{how} $!; wait'
_names = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running server, by its administrator's URL."""

    url: str

    def database(self, name: str) -> str:
        """The URL of one of its databases."""
        return re.sub(r"/postgres(?=\?|$)", f"/{name}", self.url)

    def run(self, statement: str) -> None:
        """Run one statement as the administrator."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def fresh_database(self, template: str = "template0") -> Iterator[str]:
        """The URL of a new database, dropped at the end."""
        name = f"test_{next(_names)}"
        self.run(f"create database {name} template {template}")
        yield self.database(name)
        self.run(f"drop database if exists {name} with (force)")

    def prepare_template(self) -> None:
        """Make the migrated databases `migrated`, which others are copies of, and `scratch`, which stays empty."""
        self.run("create database migrated")
        migrate(self.database("migrated"))
        self.run("create database scratch template migrated")


@contextmanager
def embedded_server() -> Iterator[Server]:
    """A throw-away embedded server without any database of its own."""
    root = Path(tempfile.mkdtemp(prefix="grpo-test-"))
    embedded = EmbeddedPostgres(root / "postgres", ephemeral=True)
    try:
        yield Server(embedded.start())
    finally:
        embedded.stop()
        shutil.rmtree(root)


@contextmanager
def debian_server() -> Iterator[Server]:
    """A throw-away server of Debian's Postgres 15."""
    postgres = require_program(str(_DEBIAN_PROGRAMS / "postgres"), "postgresql-15")
    with folder_of_ordinary_user() as folder:
        data, port = folder / "data", free_port()
        initdb = [str(_DEBIAN_PROGRAMS / "initdb"), "-N", "-A", "trust", "-U", "postgres", "--encoding=UTF8", "-D"]
        subprocess.run([*initdb, str(data)], check=True, capture_output=True, cwd="/", **ordinary_user())
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with running([postgres, "-D", str(data), *options], port, "QUIT"):
            yield Server(f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The embedded Postgres 18, with the template `migrated`."""
    with embedded_server() as server:
        server.prepare_template()
        yield server


@pytest.fixture(scope="session")
def postgres_15_server() -> Iterator[Server]:
    """Debian's Postgres 15, with the template `migrated`."""
    with debian_server() as server:
        server.prepare_template()
        yield server


@pytest.fixture
def empty_database_url(postgres_server: Server) -> Iterator[str]:
    """A new database without any tables."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def database_url(postgres_server: Server) -> Iterator[str]:
    """A new migrated database without any rows."""
    with postgres_server.fresh_database("migrated") as url:
        yield url


@pytest.fixture(scope="session")
def pgbouncer_port(postgres_server: Server) -> Iterator[int]:
    """The port of a PgBouncer in transaction mode, with two server connections a database, before the server."""
    program = require_program("pgbouncer", "pgbouncer", "/usr/sbin/pgbouncer")
    server, port = urlsplit(postgres_server.url), free_port()
    with folder_of_ordinary_user() as folder:
        users, config = folder / "users.txt", folder / "pgbouncer.ini"
        users.write_text(f'"{server.username}" "{server.password}"\n')
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\nserver_tls_sslmode = disable\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\nlogfile =\n"
        )
        with running([program, "-q", str(config)], port, "TERM"):
            yield port


@pytest.fixture
def pgbouncer_url(database_url: str, pgbouncer_port: int) -> str:
    """The database of `database_url`, reached through PgBouncer in transaction mode."""
    return database_url.replace(f":{urlsplit(database_url).port}/", f":{pgbouncer_port}/")


@pytest.fixture
def local_home() -> Iterator[Path]:
    """A place for a GRPO_HOME that keeps its embedded server inside; the server is stopped afterwards.

    The test's own temporary folder would not do: under root it is closed to the server's user.
    """
    with folder_of_ordinary_user() as folder:
        folder.chmod(0o755)
        yield folder / "home"
        EmbeddedPostgres(folder / "home" / "postgres").stop()


def ordinary_user() -> dict[str, Any]:
    """What `subprocess` needs to run a program that refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextmanager
def folder_of_ordinary_user() -> Iterator[Path]:
    """A folder that the ordinary user owns: under root, a test's own temporary folder is closed to that user."""
    folder = Path(tempfile.mkdtemp(prefix="grpo-test-"))
    user = ordinary_user()
    if user:
        os.chown(folder, user["user"], user["group"])
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(command: list[str], port: int, how_to_stop: str) -> Iterator[None]:
    """A program that serves a port until the end of the block, or of the tests, and ends at once on that signal."""
    wrapped = ["/bin/sh", "-c", _UNTIL_INPUT_ENDS.format(how=how_to_stop), "sh", *command]
    options = ordinary_user() | {"cwd": "/", "start_new_session": True}
    null = subprocess.DEVNULL
    with subprocess.Popen(wrapped, stdin=subprocess.PIPE, stdout=null, stderr=null, **options) as process:
        deadline = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None, f"{command[0]} ended at once"
            assert time.monotonic() < deadline, f"{command[0]} does not answer"
            time.sleep(0.05)
        yield


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    return PGconn.ping(f"host=127.0.0.1 port={port} sslmode=disable connect_timeout=5".encode()) == Ping.OK
