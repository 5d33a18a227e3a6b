import socket
import subprocess
import sys
from pathlib import Path

import pytest


def test_where_another_one_has_the_port_of_the_ui_nothing_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = subprocess.run(
            [sys.executable, "-m", "grpo_pipeline", "dev", "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 1
    said = result.stderr.replace("\n", " ")
    assert f"Port {port} of 127.0.0.1 cannot be used" in said
    assert "choose another with --port" in said
    assert not (tmp_path / "home").exists()
