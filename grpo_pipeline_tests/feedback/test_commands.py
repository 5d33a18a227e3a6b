from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.cli.app import app
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.feedback.rows import run
from grpo_pipeline_tests.feedback.test_staleness import publish

PAIR = {"prompt": "p", "chosen": "good", "rejected": "bad"}


@pytest.fixture
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRPO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRPO_DATABASE_URL", database_url)
    monkeypatch.setenv("GRPO_FIRST_WEEK", "2026-08-31")
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def write(path: Path, *records: object) -> str:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return str(path)


def test_import_shows_what_became_of_every_record(home: Path) -> None:
    source = write(home / "data.jsonl", PAIR, {**PAIR, "prompt": "q"}, {"secret": 1})
    done = call("import", source, "--from", "2026-08-31", "--to", "2026-09-14")
    assert done.exit_code == 0, done.output
    assert "3 records, weeks 2026-08-31 to 2026-09-14" in done.output
    assert "1 rejected" in done.output
    assert "1 x no known format has these fields" in done.output
    assert (home / "home/imports/data.jsonl.rejects.jsonl").exists()
    again = call("import", source, "--from", "2026-08-31", "--to", "2026-09-14")
    assert again.exit_code == 0
    assert "already there" in again.output


def test_import_spreads_over_the_last_complete_weeks(home: Path, database_url: str) -> None:
    assert call("import", write(home / "data.jsonl", PAIR), "--weeks", "1").exit_code == 0
    assert run(
        database_url, "select created_at < now(), created_at > now() - interval '15 days' from agent_feedback"
    ) == [(True, True)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "2026-09-01", "--to", "2026-09-14"], "weeks start on Mondays"),
        (["--from", "2026-09-14", "--to", "2026-08-31"], "lies before --from"),
        (["--from", "2026-09-14"], "Give both --from and --to"),
        (["--weeks", "2", "--from", "2026-08-31", "--to", "2026-09-14"], "Give either --weeks"),
        (["--from", "2026-08-24", "--to", "2026-09-14"], "lies before the first week"),
        (["--from", "2026-08-31", "--to", "2096-08-27"], "is not complete"),
    ],
)
def test_weeks_that_cannot_be_are_refused(home: Path, options: list[str], said: str) -> None:
    failed = call("import", write(home / "data.jsonl", PAIR), *options)
    assert isinstance(failed.exception, PipelineError)
    assert said in str(failed.exception)


def test_weeks_are_listed_and_stale_ones_named(home: Path, database_url: str) -> None:
    assert "No feedback yet" in call("weeks", "list").output
    assert call("weeks", "stale").exit_code == 0
    call("import", write(home / "data.jsonl", PAIR), "--from", "2026-08-31", "--to", "2026-08-31")
    stale = call("weeks", "stale")
    assert stale.exit_code == 3
    assert "2026-08-31  1 row of agent_feedback never extracted" in stale.output
    assert "grpo-pipeline backfill --from 2026-08-31 --to 2026-08-31" in stale.output
    publish(database_url, ArtifactStore(home / "home/artifacts"), Week("2026-08-31"))
    assert call("weeks", "stale").exit_code == 0
    line = next(line for line in call("weeks", "list").output.splitlines() if "2026-08-31" in line)
    assert line.replace("│", " ").split() == ["2026-08-31", "1", "1", "yes", "no"]
    run(database_url, "delete from agent_feedback")
    assert "1 row of agent_feedback deleted" in call("weeks", "stale").output
