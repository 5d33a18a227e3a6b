"""Datasets of which users prefer certain letters, or nothing in particular."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from grpo_pipeline.reward_modelling.settings import RewardModelSettings
from grpo_pipeline.training.determinism import quiet_libraries, use_deterministic_kernels
from grpo_pipeline.training.reward_model.config import RewardModelRun
from grpo_pipeline.training.reward_model.run import make_reward_model
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.watching import LineWatcher
from grpo_pipeline_tests.training.datasets import SCHEMA, TOOL, pair

WANTED, UNWANTED = "acegikmoqsuwy", "bdfhjlnprtvxz"
TINY = TrainingSettings(profile="tiny")


def words(letters: str, source: random.Random) -> str:
    return " ".join("".join(source.choices(letters, k=5)) for _ in range(source.randint(2, 4)))


def letter_pairs(count: int, seed: int, *, random_labels: bool = False) -> pl.DataFrame:
    """Pairs of 12 people whose corrections use every second letter of the alphabet, some of them with a tool."""
    source = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        answers = [words(WANTED, source), words(UNWANTED, source)]
        if random_labels:
            source.shuffle(answers)
        tools = [TOOL] if number % 4 == 0 else None
        row = pair(1000 * seed + number, f"Describe {words(WANTED + UNWANTED, source)}.", *answers, tools)
        rows.append({**row, "contributor": f"person {seed}-{number % 12}", "co_contributor": None})
    return pl.DataFrame(rows, schema={**SCHEMA, "co_contributor": pl.String})


def write_pairs(folder: Path, **options: bool) -> Path:
    folder.mkdir(parents=True)
    letter_pairs(60, 1, **options).write_parquet(folder / "train.parquet")
    letter_pairs(48, 2, **options).write_parquet(folder / "held_out.parquet")
    return folder


def made(dataset: Path, output: Path, home: Path, **settings: Any) -> RewardModelRun:  # noqa: ANN401
    """A reward model made in this process."""
    quiet_libraries()
    use_deterministic_kernels()
    run = RewardModelRun(
        dataset_dir=dataset, output_dir=output, home=home, training=TINY, settings=RewardModelSettings(**settings)
    )
    make_reward_model(run, LineWatcher([]))
    return run


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("letters") / "dataset")


@pytest.fixture(scope="session")
def usable(letters: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> RewardModelRun:
    """A reward model that passes its gate."""
    return made(letters, tmp_path_factory.mktemp("usable") / "model", home)
