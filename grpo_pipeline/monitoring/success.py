"""How users judge each model version over time, with intervals that take one person's votes together."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from grpo_pipeline.gates.reward_fidelity import Share, accuracy_of

CONFIDENCE = 0.95
SCHEMA = {
    "week": pl.String(),
    "model_version": pl.String(),
    "feedback": pl.Int64(),
    "people": pl.Int64(),
    "votes": pl.Int64(),
    "success_rate": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "edits": pl.Int64(),
    "edit_rate": pl.Float64(),
    "edit_low": pl.Float64(),
    "edit_high": pl.Float64(),
    "mean_score": pl.Float64(),
}


def success_rates(judgements: pl.DataFrame) -> pl.DataFrame:
    """Success by week and model version, the earliest week first and in it the version with the most votes.

    The success rate is the share of votes (thumbs, and ratings that count as thumbs) that say up; the edit rate is the
    share of feedback that corrects the answer; the mean score leaves out edits. Intervals are Wilson's at the number of
    votes that independent people would need for the same standard error (Dean and Pagano 2015,
    https://doi.org/10.1093/jssam/smv024); they are null where one person alone voted.

    Args:
        judgements: as `judged` makes them.

    Returns:
        The columns of `SCHEMA`; `model_version` is null for feedback that names none.
    """
    groups = judgements.partition_by("week", "model_version", maintain_order=True)
    found = pl.DataFrame([_rates(group) for group in groups], schema=SCHEMA)
    return found.sort("week", "votes", "model_version", descending=[False, True, False], nulls_last=True)


def _rates(group: pl.DataFrame) -> dict[str, Any]:
    # Feedback of nobody known is everybody's own.
    named = group.with_row_index("place").with_columns(
        who=pl.coalesce("person", pl.format("nobody {}", pl.col("place")))
    )
    votes = named.filter(pl.col("success").is_not_null())
    success, edits = _share(votes, "success"), _share(named, "edited")
    scores = named.filter(~pl.col("edited"))["score"].mean()
    return {
        "week": group["week"][0],
        "model_version": group["model_version"][0],
        "feedback": len(group),
        "people": named["who"].n_unique(),
        "votes": len(votes),
        "success_rate": success.mean if success else None,
        "low": success.low if success else None,
        "high": success.high if success else None,
        "edits": int(named["edited"].sum()),
        "edit_rate": edits.mean if edits else None,
        "edit_low": edits.low if edits else None,
        "edit_high": edits.high if edits else None,
        "mean_score": scores,
    }


def _share(rows: pl.DataFrame, column: str) -> Share | None:
    if rows.is_empty():
        return None
    found = accuracy_of(rows[column].cast(pl.Float64).to_numpy(), rows["who"].to_list(), CONFIDENCE, seed=0)
    if found.low is None or found.high is None:
        return found
    return Share(found.mean, float(np.clip(found.low, 0.0, found.mean)), float(np.clip(found.high, found.mean, 1.0)))
