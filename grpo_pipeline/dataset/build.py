"""The preference dataset of one week: every curated and mined pair of the look-back, split so that nothing leaks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from grpo_pipeline.dataset.mining import MINED_SCHEMA, mine_pairs
from grpo_pipeline.dataset.prompts import normalized, question, same_prompt_key, tools_column, usable_messages
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.dataset.split import contributor_names, place
from grpo_pipeline.near_duplicates import PROMPT_WIDTH, neighbours, signatures
from grpo_pipeline.weeks import Week

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
ROW_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "week": pl.String,
    "contributor": pl.String,
    "co_contributor": pl.String,
    "cluster": pl.String,
    "source": pl.String,
    "source_ids": pl.List(pl.String),
    "prompt": MESSAGES,
    "chosen": MESSAGES,
    "rejected": MESSAGES,
    "tools": pl.String,
}
EXCLUDED_SCHEMA: dict[str, Any] = {"id": pl.String, "week": pl.String, "reason": pl.String}

REPEATED = "repeated_id"
BAD_PROMPT = "prompt_without_a_turn_to_answer"
BAD_TOOLS = "unreadable_tools"
SAME = "same_as_an_earlier_pair"


@dataclass(frozen=True)
class PreferenceDataset:
    """One week's dataset.

    `train` and `held_out` have the columns of `ROW_SCHEMA`, sorted by week and id: `prompt`, `chosen` and `rejected`
    are lists of chat messages, `tools` is a JSON list or null, contributors are salted hashes, `source_ids` are the
    ids of the feedback behind the pair. `excluded` has `id`, `week` and `reason`.
    """

    week: Week
    settings: DatasetSettings
    train: pl.DataFrame
    held_out: pl.DataFrame
    excluded: pl.DataFrame
    curated: int
    mined: int

    @property
    def counts(self) -> dict[str, int]:
        """`curated + mined = train + held_out + excluded`, and what was excluded by reason."""
        reasons = self.excluded.group_by("reason").len().sort("reason")
        return {
            "curated": self.curated,
            "mined": self.mined,
            "train": len(self.train),
            "held_out": len(self.held_out),
            "excluded": len(self.excluded),
            **{f"excluded_{reason}": count for reason, count in reasons.iter_rows()},
            "contributors_train": len(contributors(self.train)),
            "contributors_held_out": len(contributors(self.held_out)),
        }

    @cached_property
    def hash(self) -> str:
        """16 hex digits over every training and held-out pair, whatever files they are written to."""
        digest = hashlib.sha256()
        for frame in (self.train, self.held_out):
            for part in frame.iter_slices(10_000):
                digest.update(part.write_ndjson().encode())
            digest.update(b"\n---\n")
        return digest.hexdigest()[:16]


def contributors(rows: pl.DataFrame) -> set[str]:
    """The public names of everyone who gave one of the pairs."""
    return {*rows["contributor"], *rows["co_contributor"].drop_nulls()}


def build_dataset(
    curated: pl.DataFrame, votes: pl.DataFrame, week: Week, settings: DatasetSettings
) -> PreferenceDataset:
    """The dataset of a week from the curated pairs and votes up to it.

    Args:
        curated: the columns of `pairs.parquet` and `week`, in any order of rows. Give every week there is, also those
            before the look-back: they are not in the dataset, but settle which side a prompt asked again belongs to,
            so that a held-out pair stays held out as the look-back moves on.
        votes: the columns of `votes.parquet`, likewise.
        week: the week of the dataset; later rows are ignored.
        settings: look-back, split and mining.
    """
    pairs = _pairs(curated, votes, week, settings)
    rows: dict[str | None, list[dict[str, Any]]] = {"train": [], "held_out": [], None: []}
    first = week.shift(1 - settings.lookback_weeks).key
    for side, row, since in _placed(pairs, settings):
        if since >= first:
            rows[side].append(row)
    excluded = pl.DataFrame(rows[None], schema=EXCLUDED_SCHEMA)
    inside = pairs.filter(pl.col("first_week") >= first)
    mined = len(inside.filter(pl.col("source") == "mined"))
    return PreferenceDataset(
        week=week,
        settings=settings,
        train=_frame(rows["train"], settings),
        held_out=_frame(rows["held_out"], settings),
        excluded=excluded.sort("week", "id", "reason"),
        curated=len(inside) - mined,
        mined=mined,
    )


def _pairs(curated: pl.DataFrame, votes: pl.DataFrame, week: Week, settings: DatasetSettings) -> pl.DataFrame:
    """Curated and mined pairs in one table, in the order in which they were made."""
    known = curated.filter(pl.col("week") <= week.key).select(
        "id",
        "week",
        pl.col("week").alias("first_week"),
        "created_at",
        pl.concat_list("user_id").alias("user_ids"),
        pl.concat_list("id", "feedback_id").list.drop_nulls().alias("source_ids"),
        "source",
        "prompt",
        "chosen",
        "rejected",
        "tools",
    )
    mined = mine_pairs(votes.filter(pl.col("created_at") < week.end), settings)
    return pl.concat([known.cast(pl.Schema(MINED_SCHEMA)), mined]).sort("created_at", "id", "week")


def _placed(pairs: pl.DataFrame, settings: DatasetSettings) -> Iterator[tuple[str | None, dict[str, Any], str]]:
    """Each pair's side (None where excluded), its row, and the week of the oldest feedback in it."""
    usable: list[dict[str, Any]] = []
    ids: set[str] = set()
    seen: set[tuple[str, str, str]] = set()
    for pair in pairs.iter_rows(named=True):
        reason = _unusable(pair, ids, seen)
        ids.add(pair["id"])
        if reason:
            yield None, _excluded(pair, reason), pair["first_week"]
        else:
            usable.append(pair)
    questions = [question(pair["prompt"]) for pair in usable]
    names = [
        contributor_names(pair["user_ids"], asked, settings) for pair, asked in zip(usable, questions, strict=True)
    ]
    for pair, asked, given, placed in zip(usable, questions, names, place(questions, names, settings), strict=True):
        row = _row(pair, given, asked) if placed.side else _excluded(pair, str(placed.reason))
        yield placed.side, row, pair["first_week"]


def _unusable(pair: dict[str, Any], ids: set[str], seen: set[tuple[str, str, str]]) -> str | None:
    if pair["id"] in ids:
        return REPEATED
    if usable_messages(pair["prompt"]) is None:
        return BAD_PROMPT
    try:
        tools_column(pair["tools"])
    except ValueError:
        return BAD_TOOLS
    said = same_prompt_key(pair["prompt"]), normalized(pair["chosen"]), normalized(pair["rejected"])
    if said in seen:
        return SAME
    seen.add(said)
    return None


def _excluded(pair: dict[str, Any], reason: str) -> dict[str, Any]:
    return {"id": pair["id"], "week": pair["week"], "reason": reason}


def _row(pair: dict[str, Any], names: list[str], asked: str) -> dict[str, Any]:
    return {
        "id": pair["id"],
        "week": pair["week"],
        "contributor": names[0],
        "co_contributor": names[1] if len(names) > 1 else None,
        "source": pair["source"],
        "source_ids": pair["source_ids"],
        "prompt": usable_messages(pair["prompt"]),
        "chosen": [{"role": "assistant", "content": pair["chosen"]}],
        "rejected": [{"role": "assistant", "content": pair["rejected"]}],
        "tools": tools_column(pair["tools"]),
        "question": asked,
    }


def _frame(rows: list[dict[str, Any]], settings: DatasetSettings) -> pl.DataFrame:
    clusters = _clusters(rows, settings)
    named = [{**row, "cluster": clusters[row["question"]]} for row in rows]
    return pl.DataFrame(named, schema=ROW_SCHEMA).sort("week", "id")


def _clusters(rows: list[dict[str, Any]], settings: DatasetSettings) -> dict[str, str]:
    """Each question's cluster: the id of the earliest pair that asks it or a near-duplicate of it."""
    earliest: dict[str, str] = {}
    for row in rows:
        earliest.setdefault(row["question"], row["id"])
    asked = list(earliest)
    clusters = dict(earliest)
    similar = neighbours(signatures(asked, PROMPT_WIDTH), settings.leak_similarity)
    for row, other in similar.group_by("row").agg(pl.col("other").min()).sort("row").iter_rows():
        clusters[asked[row]] = clusters[asked[other]]
    return clusters
