"""One verdict per user: what a sequential test may count, where the votes of one user depend on each other."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import polars as pl


def verdicts_of_users(
    judgements: pl.DataFrame, versions: Collection[str], since: datetime, until: datetime, settle: timedelta
) -> pl.DataFrame:
    """Every user's verdict on the version that he voted on first: the mean of his votes in the time after that.

    The time is the same for everybody and does not depend on how he votes, so that users count in the order of their
    first votes, each once. A vote that was changed counts as it stands now. Votes on another version are left out (a
    changed share moves some users), and so is whoever is not known.

    Args:
        judgements: as `judged` makes them.
        versions: those that are compared.
        since: start of the comparison.
        until: the moment of looking.
        settle: how long a user's votes are gathered.

    Returns:
        person, model_version, at (his first vote), success (from 0 to 1) and settled, in the order of the first votes.
    """
    votes = judgements.filter(
        pl.col("success").is_not_null(),
        pl.col("person").is_not_null(),
        pl.col("model_version").is_in(list(versions)),
        pl.col("created_at").is_between(since, until, closed="left"),
    ).sort("created_at", "person", "model_version")
    first = pl.col("created_at").first().over("person")
    kept = votes.filter(
        pl.col("model_version") == pl.col("model_version").first().over("person"),
        pl.col("created_at") <= first + settle,
    )
    found = kept.group_by("person", maintain_order=True).agg(
        pl.col("model_version").first(), at=pl.col("created_at").first(), success=pl.col("success").mean()
    )
    return found.with_columns(settled=pl.col("at") + settle <= until).sort("at", "person")
