from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_pipeline.postgres.urls import split_password


def db(home: Path, *words: str, url: str = "") -> tuple[int, str]:
    """The exit code of `grpo-pipeline db ...` and all it printed."""
    environment = os.environ | {"GRPO_HOME": str(home), "GRPO_DATABASE_URL": url, "PSQLRC": "/dev/null"}
    command = [sys.executable, "-m", "grpo_pipeline", "db", *words]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def test_the_embedded_database_from_the_command_line(local_home: Path) -> None:
    code, text = db(local_home, "status")
    assert code == 3
    assert "does not run" in text
    assert "grpo-pipeline db up" in text

    code, text = db(local_home, "up")
    assert code == 0
    password = (local_home / "postgres" / "password").read_text()
    assert re.search(r"postgresql://postgres:\*\*\*@127\.0\.0\.1:\d+/postgres", text)
    assert password not in text

    code, text = db(local_home, "status")
    assert code == 0
    assert "up to date" in text
    assert password not in text

    code, text = db(
        local_home,
        "psql",
        "-X",
        "-A",
        "-t",
        "-c",
        "select count(*) from agent_feedback",
        "-c",
        "select 'is ' || 'psql'",
    )
    assert (code, text) == (0, "0\nis psql\n")

    assert db(local_home, "down") == (0, "Postgres is stopped.\n")
    assert db(local_home, "down") == (0, "Postgres did not run.\n")


def test_a_given_database_from_the_command_line(local_home: Path, empty_database_url: str) -> None:
    password = split_password(empty_database_url)[1]
    assert password is not None

    code, text = db(local_home, "status", url=empty_database_url)
    assert code == 4
    assert "grpo-pipeline db migrate" in text

    code, text = db(local_home, "migrate", url=empty_database_url)
    assert code == 0
    assert text.count("applied 2") >= 4
    assert "is up to date" in text
    assert password not in text

    code, text = db(local_home, "migrate", url=empty_database_url)
    assert code == 0
    assert "applied" not in text

    assert db(local_home, "status", url=empty_database_url)[0] == 0
    code, text = db(local_home, "up", url=empty_database_url)
    assert code == 0
    assert "answers" in text
    assert not local_home.exists()


@pytest.mark.parametrize("command", ["up", "status", "migrate"])
def test_a_wrong_url_is_one_sentence_and_a_failure(local_home: Path, command: str) -> None:
    code, text = db(local_home, command, url="mysql://somebody:s3cret@somewhere/db")
    assert code == 1
    assert text.startswith("Error: The database URL is not a Postgres URL")
    assert "s3cret" not in text
    assert "Traceback" not in text
