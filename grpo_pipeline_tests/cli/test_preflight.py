import subprocess
import sys
from pathlib import Path

import pytest

from grpo_pipeline.cli.preflight import over_cap
from grpo_pipeline.config import load_settings


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grpo_pipeline", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_without_a_dataset_it_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_HOME", str(tmp_path))
    result = command("preflight")
    assert result.returncode == 1
    assert "There is no dataset yet" in result.stderr
    assert "preference_dataset of week 2026-10-05 does not exist" in command("preflight", "--week", "2026-10-05").stderr


def test_a_cap_on_money_without_a_price_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_HOME", str(tmp_path))
    monkeypatch.setenv("GRPO_TRAINING__MAX_COST_PER_RUN", "5")
    result = command("preflight")
    assert result.returncode == 1
    assert "GRPO_TRAINING__PRICE_PER_HOUR" in result.stderr.replace("\n", " ")


def test_what_training_would_take_is_held_against_the_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_HOME", str(tmp_path))
    monkeypatch.setenv("GRPO_TRAINING__PRICE_PER_HOUR", "2")
    monkeypatch.setenv("GRPO_TRAINING__MAX_COST_PER_WEEK", "5")
    assert over_cap(load_settings(), {"warm_start_device_hours": 0.5, "device_hours": 1.9}) is None
    said = over_cap(load_settings(), {"warm_start_device_hours": 0.7, "device_hours": 1.9})
    assert "GRPO_TRAINING__MAX_COST_PER_WEEK" in str(said)
