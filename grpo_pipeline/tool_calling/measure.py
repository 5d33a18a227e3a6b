"""The held-out scenarios as questions, and what the models' answers to them are worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.conversation import parse_tool_calls
from grpo_pipeline.evaluation.answer_config import Respondent, answers_file
from grpo_pipeline.tool_calling.dataset import HELD_OUT
from grpo_pipeline.tool_calling.names import GRPO, WARM_START
from grpo_pipeline.tool_calling.scoring import ALL, differences_by_category, failure_kind, shares_by_category
from grpo_pipeline.verdict import Verdict

QUESTIONS = "questions.parquet"


def write_questions(scenarios: Path, folder: Path, max_new_tokens: int) -> Path:
    """The held-out scenarios in the form that `evaluation.answer` reads."""
    held_out = pl.read_parquet(scenarios / HELD_OUT, columns=["id", "category", "prompt", "tools"])
    held_out.with_columns(max_new_tokens=pl.lit(max_new_tokens)).write_parquet(folder / QUESTIONS)
    return folder / QUESTIONS


def evaluation_fields(scenarios: Path, respondents: Sequence[Respondent], answers: Path) -> dict[str, Any]:
    """What the manifest says of the answers: shares, differences, failures and the verdict."""
    held_out = pl.read_parquet(scenarios / HELD_OUT)
    wanted = {row["id"]: parse_tool_calls(row["chosen"][-1]["content"]) or [] for row in held_out.iter_rows(named=True)}
    categories = dict(held_out.select("id", "category").iter_rows())
    failures: dict[str, dict[str, str | None]] = {}
    for item in respondents:
        given = pl.read_parquet(answers_file(answers, item.name), columns=["id", "answer"]).iter_rows()
        failures[item.name] = {key: failure_kind(answer, wanted[key]) for key, answer in given}
    right = {name: {key: kind is None for key, kind in found.items()} for name, found in failures.items()}
    differences = {
        f"{after.name} minus {before.name}": differences_by_category(right[after.name], right[before.name], categories)
        for before, after in pairwise(respondents)
    }
    return {
        "counts": {
            "held_out": len(held_out),
            **{f"right_{name}": sum(found.values()) for name, found in right.items()},
        },
        "shares": {name: shares_by_category(found, categories) for name, found in right.items()},
        "differences": differences,
        "failures": {
            name: dict(Counter(kind for kind in found.values() if kind).most_common())
            for name, found in failures.items()
        },
        "verdict": verdict(differences).as_manifest(),
    }


def verdict(differences: dict[str, Any]) -> Verdict:
    """Whether GRPO added anything to its own warm start."""
    found = differences.get(f"{GRPO} minus {WARM_START}")
    if found is None:
        return Verdict("inconclusive", "Nothing to compare GRPO with: it had no warm start.")
    row = found[ALL]
    numbers = (
        f"{row['difference']:+.3f} right answers (95 % interval {row['low']:+.3f} to {row['high']:+.3f}, "
        f"{row['n']} held-out scenarios)"
    )
    if row["low"] > 0:
        return Verdict("pass", f"GRPO is credibly better than its warm start: {numbers}.")
    if row["high"] < 0:
        return Verdict("fail", f"GRPO is credibly worse than its warm start: {numbers}.")
    return Verdict("inconclusive", f"GRPO is not credibly better than its warm start: {numbers}.")


def model_to_use(differences: dict[str, Any], models: Sequence[str]) -> str:
    """The last of these models, in the order of their training, that is credibly better than the one before it."""
    for before, after in pairwise(models):
        if differences[f"{after} minus {before}"][ALL]["low"] <= 0:
            return before
    return models[-1]
