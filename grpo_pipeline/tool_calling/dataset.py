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
    "demonstrated": pl.Boolean,
}
# One training scenario in so many is practised, the others are demonstrated.
PRACTISED = 4


@dataclass(frozen=True)
class ScenarioDataset:
    """Scenarios to show right answers to, to practise on, and to measure on: none holds a task of another."""

    demonstrated: Sequence[Scenario]
    practised: Sequence[Scenario]
    held_out: Sequence[Scenario]

    @property
    def train(self) -> int:
        """How many there are to train on."""
        return len(self.demonstrated) + len(self.practised)


def build_scenarios(train: int, held_out: int, seed: int) -> ScenarioDataset:
    """The scenarios of a seed: so many to train on, and so many to measure on."""
    practised = train // PRACTISED
    return ScenarioDataset(
        make_scenarios(train - practised, seed, "demonstrated"),
        make_scenarios(practised, seed, "practised"),
        make_scenarios(held_out, seed, "held_out"),
    )


def scenario_frame(scenarios: Sequence[Scenario], *, demonstrated: bool) -> pl.DataFrame:
    """One row per scenario: the columns of a preference pair, the category, and whether its right answer is shown.

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
            "demonstrated": demonstrated,
        }
        for item in scenarios
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def write_scenarios(dataset: ScenarioDataset, folder: Path) -> None:
    """Write both sides, as `datasets.load_dataset` and training read them."""
    shown = scenario_frame(dataset.demonstrated, demonstrated=True)
    practised = scenario_frame(dataset.practised, demonstrated=False)
    pl.concat([shown, practised]).write_parquet(folder / TRAIN)
    scenario_frame(dataset.held_out, demonstrated=False).write_parquet(folder / HELD_OUT)


def scenario_counts_by_category(dataset: ScenarioDataset) -> dict[str, int]:
    """Scenarios on both sides, and of each category in training."""
    trained = [*dataset.demonstrated, *dataset.practised]
    found = Counter(item.category for item in trained)
    tools = {tool.name for item in trained for tool in item.tools}
    return {
        "train": dataset.train,
        "practised": len(dataset.practised),
        "held_out": len(dataset.held_out),
        "tools": len(tools),
        **dict(sorted(found.items())),
    }
