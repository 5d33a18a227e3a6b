"""Finds pairs that other people's feedback on the same answers speaks against."""

from __future__ import annotations

import polars as pl

from grpo_pipeline.curation.duplicates import text_digests
from grpo_pipeline.near_duplicates import comparable

VOICE = ["prompt_digest", "answer_digest"]


def voices(pairs: pl.DataFrame, votes: pl.DataFrame) -> pl.DataFrame:
    """What everyone said of an answer to a prompt: prompt_digest, answer_digest, user_id and voice (1 for, -1 against).

    A pair speaks for its chosen and against its rejected answer, a vote for or against the one answer. One person
    speaks once of each answer, and all feedback without a user is one person's: nothing says that it is not.
    """
    chosen = pairs.select("user_id", "prompt_digest", answer_digest="chosen_digest", voice=pl.lit(1))
    rejected = pairs.select("user_id", "prompt_digest", answer_digest="rejected_digest", voice=pl.lit(-1))
    seen = votes.select(
        "user_id", "vote", prompt=comparable(pl.col("plain_prompt")), answer=comparable(pl.col("response"))
    )
    voted = seen.select(
        "user_id",
        text_digests(seen["prompt"], "prompt_digest"),
        text_digests(seen["answer"], "answer_digest"),
        voice=pl.when(pl.col("vote") == "up").then(1).otherwise(-1),
    )
    said = pl.concat([chosen, rejected, voted])
    return said.group_by(*VOICE, "user_id").agg(pl.col("voice").sum().sign())


def outvoted(pairs: pl.DataFrame, said: pl.DataFrame, margin: int) -> pl.DataFrame:
    """Rows that other people's voices speak against, at least `margin` more than speak for them.

    Args:
        said: everyone's voices, see `voices`.
    """
    against = pl.concat([_of_others(pairs, said, "chosen_digest", -1), _of_others(pairs, said, "rejected_digest", 1)])
    total = against.group_by("row").agg(pl.col("against").sum()).filter(pl.col("against") >= margin).sort("row")
    return total.select(
        "row", rule=pl.lit("outvoted"), detail=pl.col("against").cast(pl.String) + pl.lit(" more voices against it")
    )


def _of_others(pairs: pl.DataFrame, said: pl.DataFrame, answer: str, sign: int) -> pl.DataFrame:
    joined = pairs.select("row", "user_id", "prompt_digest", answer_digest=answer).join(said, on=VOICE)
    others = joined.filter(pl.col("user_id").ne_missing(pl.col("user_id_right")))
    return others.select("row", against=sign * pl.col("voice"))
