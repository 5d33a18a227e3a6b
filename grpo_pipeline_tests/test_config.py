from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grpo_pipeline.config import load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.weeks import Week


@pytest.fixture(autouse=True)
def empty_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests may reach them."""
    for name in [name for name in os.environ if name.startswith("GRPO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_everything_local_lies_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRPO_HOME", "somewhere")
    settings = load_settings()
    assert settings.home == tmp_path / "somewhere"
    assert settings.artifacts == tmp_path / "somewhere" / "artifacts"


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_DATABASE_URL", "")
    assert load_settings().database_url is None


def test_a_dot_env_file_counts_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GRPO_FIRST_WEEK=2026-02-02\nGRPO_GRACE_HOURS=1\nOTHER=x\n")
    monkeypatch.setenv("GRPO_GRACE_HOURS", "2")
    settings = load_settings()
    assert (settings.first_week, settings.grace) == ("2026-02-02", timedelta(hours=2))


@pytest.mark.parametrize(
    ("name", "value"),
    [("GRPO_FIRST_WEEK", "2026-02-03"), ("GRPO_GRACE_HOURS", "-1"), ("GRPO_CURATION__NO_SUCH_SETTING", "1")],
)
def test_a_wrong_value_is_named_and_not_quoted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(PipelineError, match=name):
        load_settings()


def test_complete_weeks_end_with_the_last_one_past_its_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_FIRST_WEEK", "2026-10-26")
    settings = load_settings()
    assert [week.key for week in settings.complete_weeks(datetime(2026, 11, 9, 7, tzinfo=UTC))] == [
        "2026-10-26",
        "2026-11-02",
    ]


def test_a_future_week_and_one_before_the_first_are_refused() -> None:
    settings = load_settings()
    running = Week.containing(datetime.now(UTC))
    with pytest.raises(PipelineError, match="not complete"):
        settings.require_complete(running)
    with pytest.raises(PipelineError, match="before the first week"):
        settings.require_complete(Week(settings.first_week).shift(-1))
