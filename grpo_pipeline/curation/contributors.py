"""Caps how much of a week one person may give, and sets aside all that comes from those who mostly mislead."""

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


def distrusted(pairs: pl.DataFrame, suspect: pl.DataFrame, share: float, fewest: int) -> pl.DataFrame:
    """All rows of contributors of whom at least `fewest` pairs and this share of their pairs are suspect.

    Args:
        pairs: rows that are still kept.
        suspect: `user_id` of every row that was set aside as suspect, one line a row.
    """
    counted = suspect.filter(pl.col("user_id").is_not_null()).group_by("user_id").len("suspect")
    rest = pairs.join(counted, on="user_id", maintain_order="left")
    whole = pl.col("suspect") + pl.len().over("user_id")
    found = rest.filter(pl.col("suspect") >= fewest, pl.col("suspect") >= share * whole)
    return found.select(
        "row",
        rule=pl.lit("distrusted_contributor"),
        detail=pl.col("suspect").cast(pl.String) + pl.lit(" other pairs of this person are suspect"),
    )
