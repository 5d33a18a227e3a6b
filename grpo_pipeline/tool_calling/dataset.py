"""Scenarios as training and held-out pairs, in the files and columns that training reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.tool_calling.scenarios import Scenario, make_scenarios

TRAIN, HELD_OUT = "train.parquet", "held_out.parquet"
MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "category": pl.String,
    "contributor": pl.String,
    "prompt": MESSAGES,
    "chosen": MESSAGES,
    "rejected": MESSAGES,
    "tools": pl.String,
}


@dataclass(frozen=True)
class ScenarioDataset:
    """Scenarios to train on, and others of tasks that those do not hold."""

    train: Sequence[Scenario]
    held_out: Sequence[Scenario]


def build_scenarios(train: int, held_out: int, seed: int) -> ScenarioDataset:
    """The scenarios of a seed: so many to train on, and so many to measure on."""
    return ScenarioDataset(make_scenarios(train, seed), make_scenarios(held_out, seed, held_out=True))


def scenario_frame(scenarios: Sequence[Scenario]) -> pl.DataFrame:
    """One row per scenario: the columns of a preference pair and the category.

    `contributor` is the domain, so that intervals count scenarios about the same things as related.
    """
    rows = [
        {
            "id": item.id,
            "category": item.category,
            "contributor": item.domain,
            "prompt": [{"role": "user", "content": item.request}],
            "chosen": [{"role": "assistant", "content": item.answer}],
            "rejected": [{"role": "assistant", "content": item.mistake}],
            "tools": item.schemas,
        }
        for item in scenarios
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def write_scenarios(dataset: ScenarioDataset, folder: Path) -> None:
    """Write both sides, as `datasets.load_dataset` and training read them."""
    scenario_frame(dataset.train).write_parquet(folder / TRAIN)
    scenario_frame(dataset.held_out).write_parquet(folder / HELD_OUT)


def scenario_counts_by_category(dataset: ScenarioDataset) -> dict[str, int]:
    """Scenarios on both sides, and of each category in training."""
    found = Counter(item.category for item in dataset.train)
    tools = {tool.name for item in dataset.train for tool in item.tools}
    return {
        "train": len(dataset.train),
        "held_out": len(dataset.held_out),
        "tools": len(tools),
        **dict(sorted(found.items())),
    }
