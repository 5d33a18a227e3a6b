from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.server.serving import serve
from grpo_pipeline.server.settings import ServerSettings, is_loopback, load_server_settings
from grpo_pipeline_tests.e2e.deployment import wait_until
from grpo_pipeline_tests.postgres_fixtures import free_port


def attempt(tmp_path: Path, url: str, **server: object) -> None:
    serve(Settings(home=tmp_path, database_url=url), ServerSettings(**server), print)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "my-host.example"])
def test_without_keys_nobody_else_can_reach_it(tmp_path: Path, database_url: str, host: str) -> None:
    with pytest.raises(PipelineError, match="no keys"):
        attempt(tmp_path, database_url, host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_this_machine_has_several_names(host: str) -> None:
    assert is_loopback(host)


def test_a_port_that_is_taken_is_explained(tmp_path: Path, database_url: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PipelineError, match=r"Port \d+ of 127.0.0.1 cannot be used .*GRPO_SERVER__PORT"):
            attempt(tmp_path, database_url, port=other.getsockname()[1])


def test_a_database_without_the_tables_is_explained(tmp_path: Path, empty_database_url: str) -> None:
    with pytest.raises(PipelineError, match="grpo-pipeline db migrate"):
        attempt(tmp_path, empty_database_url)


def test_a_setting_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_SERVER__PORT", "eighty")
    with pytest.raises(PipelineError, match="GRPO_SERVER__PORT"):
        load_server_settings()
    assert load_server_settings(port=81).port == 81


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches the processes started here, also where this one is in the background and takes none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, database_url: str) -> None:
    port = free_port()
    environment = {**os.environ, "GRPO_HOME": str(tmp_path), "GRPO_DATABASE_URL": database_url}
    command = [sys.executable, "-m", "grpo_pipeline", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        wait_until("the server answers", lambda: answers(port), 60)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    said = out.decode()
    assert f"The API answers at http://127.0.0.1:{port}" in said
    assert "no keys" in said
    assert "Traceback" not in said


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return bool(json.load(response)["status"] == "ok")
    except OSError:
        return False
