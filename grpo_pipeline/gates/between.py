"""What exists only between two models: whose answers are nearer to the corrections, and who writes longer ones.

Both compare answer by answer: the models drew them with the same random numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grpo_pipeline.gates.intervals import Interval, Statistic, clustered_statistic
from grpo_pipeline.gates.metrics import ANSWER_TOKENS, CANDIDATE, WORD_SIMILARITY
from grpo_pipeline.gates.settings import GateSettings

# One answer's worth of belief that length does not matter: with equal lengths there is nothing to estimate it from.
RIDGE = 1.0


def answer_pairs(scores: pl.DataFrame, against: str) -> pl.DataFrame:
    """One line per sampled answer of both models.

    Columns: pair_id, contributor, and of the candidate and of the other model similarity and tokens; empty where these
    were not measured.
    """
    wanted = scores.filter(
        pl.col("metric").is_in([WORD_SIMILARITY, ANSWER_TOKENS]), pl.col("model").is_in([CANDIDATE, against])
    )
    named = wanted.with_columns(
        contributor=pl.coalesce("contributor", "pair_id"),
        column=pl.when(pl.col("model") == CANDIDATE).then(pl.lit("candidate_")).otherwise(pl.lit("other_"))
        + pl.col("metric"),
    )
    columns = [f"{model}_{metric}" for metric in (WORD_SIMILARITY, ANSWER_TOKENS) for model in ("candidate", "other")]
    wide = named.pivot(
        on="column", on_columns=columns, index=["pair_id", "contributor", "sample"], values="value"
    ).drop_nulls(columns)
    return wide.filter(pl.all_horizontal(pl.col(columns).is_finite())).sort("pair_id", "sample")


def length_controlled_wins(answers: pl.DataFrame, confidence: float, settings: GateSettings) -> Interval:
    """The share of answers nearer to the correction than the other model's at equal lengths, minus one half.

    A tie is half a win. The influence of the difference in length is estimated by regression of the win on
    tanh(difference / its deviation) and taken out, as in length-controlled AlpacaEval (Dubois et al. 2024,
    https://arxiv.org/abs/2404.04475); linear instead of logistic, which has no solution where one model always wins.
    """
    mine, other = answers[f"candidate_{WORD_SIMILARITY}"], answers[f"other_{WORD_SIMILARITY}"]
    wins = (np.sign(mine.to_numpy() - other.to_numpy())) / 2.0
    longer = answers[f"candidate_{ANSWER_TOKENS}"].to_numpy() - answers[f"other_{ANSWER_TOKENS}"].to_numpy()
    lengths = np.tanh(longer / (longer.std() or 1.0))
    rows = np.column_stack([np.ones(len(wins)), lengths, wins, lengths**2, lengths * wins])
    return _per_pair(answers, rows, _intercept, confidence, settings)


def length_drift(answers: pl.DataFrame, confidence: float, settings: GateSettings) -> Interval:
    """The tokens of all the candidate's answers over those of the other model's, in doublings."""
    mine, other = answers[f"candidate_{ANSWER_TOKENS}"], answers[f"other_{ANSWER_TOKENS}"]
    rows = np.column_stack([mine.to_numpy() + 1.0, other.to_numpy() + 1.0])
    return _per_pair(answers, rows, _doublings, confidence, settings)


def _per_pair(
    answers: pl.DataFrame,
    rows: NDArray[np.float64],
    statistic: Statistic,
    confidence: float,
    settings: GateSettings,
) -> Interval:
    """A statistic of the answers of each pair, with its interval over contributors."""
    names = [f"column_{index}" for index in range(rows.shape[1])]
    table = answers.select("pair_id", "contributor").hstack(pl.DataFrame(rows, schema=names))
    pairs = table.group_by("pair_id", "contributor").sum().sort("pair_id")
    return clustered_statistic(
        pairs.select(names).to_numpy(),
        pairs["contributor"].to_numpy(),
        statistic,
        confidence=confidence,
        resamples=settings.resamples,
        seed=settings.seed,
    )


def _intercept(*sums: NDArray[Any], axis: int) -> NDArray[Any]:
    count, lengths, wins, squares, products = (column.sum(axis=axis) for column in sums)
    slope = (products - lengths * wins / count) / (squares - lengths**2 / count + RIDGE)
    return np.asarray(wins / count - slope * lengths / count)


def _doublings(*sums: NDArray[Any], axis: int) -> NDArray[Any]:
    mine, other = (column.sum(axis=axis) for column in sums)
    return np.asarray(np.log2(mine / other))
