"""What one model scored, kept as soon as it is finished so that a retry goes on from there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.artifacts import canonical_json, write_atomically
from grpo_pipeline.evaluation.probing import Probed
from grpo_pipeline.evaluation.scoring import Measured, score_rows
from grpo_pipeline.gates.scores import SCORES_SCHEMA, WEEK

FOLDER = ".parts"
ANSWERS_SCHEMA = {"pair_id": pl.String, "model": pl.String, "sample": pl.Int32, "answer": pl.String}


@dataclass(frozen=True)
class Part:
    """Scores and answers of one model, sorted by pair."""

    scores: pl.DataFrame
    answers: pl.DataFrame


def make_part(model: str, measured: Iterable[Measured], probed: Iterable[Probed] = ()) -> Part:
    """The tables of one model's measurements on the pairs and on the regression suite."""
    ordered = sorted(measured, key=lambda item: item.pair.id)
    scores: list[tuple[Any, ...]] = [
        (item.pair.id, item.pair.contributor, model, metric, value, sample, item.pair.week)
        for item in ordered
        for metric, value, sample in score_rows(item)
    ]
    suite = list(probed)
    scores += [(item.name, None, model, item.family, item.score, 0, None) for item in suite]
    answers = [(item.pair.id, model, sample, answer) for item in ordered for sample, answer in enumerate(item.answers)]
    answers += [(item.name, model, 0, item.answer) for item in suite if item.answer is not None]
    return Part(
        pl.DataFrame(scores, schema={**SCORES_SCHEMA, WEEK: pl.String}, orient="row"),
        pl.DataFrame(answers, schema=ANSWERS_SCHEMA, orient="row"),
    )


def key(facts: Mapping[str, Any]) -> str:
    """A name for everything that a result depends on."""
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:32]


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table so that a crash leaves all of it or none."""
    draft = path.with_name(f".{path.name}.draft")
    table.write_parquet(draft)
    draft.replace(path)


class Parts:
    """The finished models in an output folder."""

    def __init__(self, output: Path) -> None:
        self._folder = output / FOLDER

    def load(self, model: str, name: str) -> Part | None:
        """A model's part where it was made from the same things, else None."""
        mark = self._folder / f"{model}.key"
        if not mark.exists() or mark.read_text(encoding="utf-8") != name:
            return None
        return Part(
            pl.read_parquet(self._folder / f"{model}.scores.parquet"),
            pl.read_parquet(self._folder / f"{model}.answers.parquet"),
        )

    def save(self, model: str, name: str, part: Part) -> None:
        """Keep a model's part."""
        self._folder.mkdir(parents=True, exist_ok=True)
        mark = self._folder / f"{model}.key"
        mark.unlink(missing_ok=True)
        write_table(part.scores, self._folder / f"{model}.scores.parquet")
        write_table(part.answers, self._folder / f"{model}.answers.parquet")
        write_atomically(mark, name)

    def clear(self) -> None:
        """Remove all parts once the whole is written."""
        shutil.rmtree(self._folder, ignore_errors=True)
