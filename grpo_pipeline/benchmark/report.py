"""What the benchmark found: shares with intervals by category, and each model against the one before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.benchmark.bfcl import BfclQuestion, fault
from grpo_pipeline.benchmark.said import kind_of
from grpo_pipeline.evaluation.answer_config import Respondent, answers_file
from grpo_pipeline.tool_calling.scoring import ALL, differences_by_category, shares_by_category

QUESTIONS = "questions.parquet"
SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "category": pl.String,
    "prompt": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
    "tools": pl.String,
    "max_new_tokens": pl.Int32,
}


def write_questions(questions: Sequence[BfclQuestion], folder: Path) -> Path:
    """The questions in the form that `evaluation.answer` reads."""
    rows = [(item.id, item.category, list(item.prompt), item.tools, item.max_new_tokens) for item in questions]
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(folder / QUESTIONS)
    return folder / QUESTIONS


def report(questions: Sequence[BfclQuestion], respondents: Sequence[Respondent], folder: Path) -> dict[str, Any]:
    """Shares by model and category, paired differences of neighbours in the list of models, and kinds of faults.

    `said` holds the shares of the questions that need a call by whether they say every value of it.
    """
    faults = {item.name: _faults(questions, answers_file(folder, item.name)) for item in respondents}
    categories = {item.id: item.category for item in questions}
    kinds = {item.id: kind_of(item) for item in questions if item.wanted}
    right = {name: {key: fault is None for key, fault in found.items()} for name, found in faults.items()}
    return {
        "shares": {name: shares_by_category(found, categories) for name, found in right.items()},
        "said": {name: _shares_of(found, kinds) for name, found in right.items()},
        "differences": {
            f"{after.name} minus {before.name}": differences_by_category(
                right[after.name], right[before.name], categories
            )
            for before, after in pairwise(respondents)
        },
        "faults": {name: _counts(found, categories) for name, found in faults.items()},
    }


def _shares_of(right: Mapping[str, bool], kinds: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    shares = shares_by_category({key: right[key] for key in kinds}, kinds)
    return {name: share for name, share in shares.items() if name != ALL}


def _faults(questions: Sequence[BfclQuestion], file: Path) -> dict[str, str | None]:
    answers = dict(pl.read_parquet(file, columns=["id", "answer"]).iter_rows())
    return {item.id: fault(item, answers[item.id]) for item in questions}


def _counts(found: Mapping[str, str | None], categories: Mapping[str, str]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for key, kind in found.items():
        if kind is not None:
            counted.setdefault(categories[key], Counter())[kind] += 1
    return {category: dict(counts.most_common()) for category, counts in counted.items()}
