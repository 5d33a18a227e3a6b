"""Feedback as verdicts on answers: who judged which version when, and whether that was a success."""

from __future__ import annotations

import polars as pl

from grpo_pipeline.curation.settings import CurationSettings

SCHEMA = {
    "created_at": pl.Datetime("us", "UTC"),
    "person": pl.String(),
    "model_version": pl.String(),
    "feedback_type": pl.String(),
    "score": pl.Float64(),
    "with_tools": pl.Boolean(),
}


def judged(rows: pl.DataFrame, curation: CurationSettings) -> pl.DataFrame:
    """The rows of `judgements.sql` with what they say.

    Args:
        rows: of the columns of `SCHEMA`; `person` is null where nobody knows who it was.
        curation: which ratings count as thumbs.

    Returns:
        The rows with `week` (its Monday), `success` (1, 0, or null where it is no vote: a middling rating, an edit, a
        comment) and `edited`.
    """
    kind, rating = pl.col("feedback_type"), pl.col("feedback_type") == "rating"
    up = (kind == "thumbs_up") | (rating & (pl.col("score") >= curation.up_score))
    down = (kind == "thumbs_down") | (rating & (pl.col("score") <= curation.down_score))
    return rows.with_columns(
        week=pl.col("created_at").dt.truncate("1w").dt.strftime("%Y-%m-%d"),
        success=pl.when(up).then(1.0).when(down).then(0.0),
        edited=kind == "edit",
    )
