"""Small preference datasets in the form that the dataset stage writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

TOOL = {
    "type": "function",
    "function": {
        "name": "get_funding",
        "description": "Funding rounds of a company.",
        "parameters": {"type": "object", "properties": {"company": {"type": "string"}}, "required": ["company"]},
    },
}
MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
SCHEMA = {
    "id": pl.String,
    "week": pl.String,
    "contributor": pl.String,
    "cluster": pl.String,
    "source": pl.String,
    "prompt": MESSAGES,
    "chosen": MESSAGES,
    "rejected": MESSAGES,
    "tools": pl.String,
}


def pair(number: int, prompt: str, chosen: str, rejected: str, tools: list[Any] | None = None) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "week": "2026-01-05",
        "contributor": f"contributor-{number % 5}",
        "cluster": f"cluster-{number}",
        "source": "edit",
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "tools": json.dumps(tools) if tools else None,
    }


def write_dataset(folder: Path, pairs: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(pairs, schema=SCHEMA).write_parquet(folder / "train.parquet")
    return folder


def tiny_pairs(count: int = 12) -> list[dict[str, Any]]:
    """One correction to all questions, which even a model of two layers can learn."""
    return [
        pair(number, f"Question {number}?", "good day.", "no idea;", [TOOL] if number % 4 == 0 else None)
        for number in range(count)
    ]
