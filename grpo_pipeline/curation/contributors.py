"""Caps how much of a week one person may give."""

from __future__ import annotations

from hashlib import blake2b

import polars as pl


def largest_allowed(counts: list[int], share: float, floor: int, anonymous: int = 0) -> int:
    """The most pairs one contributor may keep, so that none has more than its share of all that is kept.

    Args:
        counts: pairs of each contributor.
        share: part of the kept pairs that one may have; never less than twice an equal share, so that a team of
            one or two loses nothing and a small team little.
        floor: pairs that everyone keeps.
        anonymous: kept pairs of nobody known, which count into the total.
    """
    if not counts:
        return floor
    fair = max(share, 2 / len(counts))
    allowed = max(counts)
    while allowed > floor:
        kept = anonymous + sum(min(count, allowed) for count in counts)
        fitting = int(fair * kept + 1e-9)
        if allowed <= fitting:
            return allowed
        allowed = max(floor, fitting)
    return floor


def over_the_cap(pairs: pl.DataFrame, share: float, floor: int) -> pl.DataFrame:
    """Rows beyond their contributor's cap, chosen by a hash of their ids, so that no order favours any.

    Rows without a user are left alone: nothing says that they come from one person.
    """
    known = pairs.filter(pl.col("user_id").is_not_null()).select("row", "id", "user_id")
    counts = known.group_by("user_id").len()["len"].to_list()
    allowed = largest_allowed(counts, share, floor, anonymous=len(pairs) - len(known))
    crowded = known.filter(pl.len().over("user_id") > allowed)
    lots = pl.Series(
        "lot", [blake2b(key.encode(), digest_size=8).hexdigest() for key in crowded["id"]], dtype=pl.String
    )
    ranked = crowded.with_columns(lots).sort("user_id", "lot", "id")
    beyond = ranked.filter(pl.int_range(pl.len()).over("user_id") >= allowed)
    return beyond.select(
        "row", rule=pl.lit("contributor_cap"), detail=pl.lit(f"more than {allowed} pairs of one person")
    )
