"""Finds pairs that say the same as an earlier one, and pairs that contradict each other."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import polars as pl

from grpo_pipeline.near_duplicates import (
    ANSWER_WIDTH,
    PERMUTATIONS,
    PROMPT_WIDTH,
    comparable,
    neighbours,
    signatures,
    similarities,
)

_SIGNATURE = pl.Array(pl.UInt16, PERMUTATIONS)
# What is kept of a pair to compare later weeks with: no text, only hashes of it.
SIGNATURE_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "prompt_digest": pl.UInt64(),
    "chosen_digest": pl.UInt64(),
    "rejected_digest": pl.UInt64(),
    "prompt_signature": _SIGNATURE,
    "chosen_signature": _SIGNATURE,
}
_DIGESTS = ["prompt_digest", "chosen_digest", "rejected_digest"]


def with_comparable_texts(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs with what comparisons read: `same_<text>` and its digest for prompt, chosen and rejected."""
    read = {"prompt": "plain_prompt", "chosen": "chosen", "rejected": "rejected"}
    seen = pairs.with_columns(**{f"same_{name}": comparable(pl.col(column)) for name, column in read.items()})
    return seen.with_columns(text_digests(seen[f"same_{name}"], f"{name}_digest") for name in read)


def text_digests(texts: pl.Series, name: str) -> pl.Series:
    """A number for each text, equal for equal texts, the same in every week and version."""
    # polars' own hash may change with its version; these are compared with those of earlier weeks.
    hashes = (blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return pl.Series(name, np.frombuffer(b"".join(hashes), dtype="<u8"), dtype=pl.UInt64)


def with_signatures(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs with the MinHash signatures of prompt and chosen answer."""
    prompts = pairs.select("prompt_digest", "same_prompt").unique("prompt_digest", maintain_order=True)
    prompt_signatures = signatures(prompts["same_prompt"], PROMPT_WIDTH, prepared=True)
    known = prompts.select("prompt_digest").with_columns(_column("prompt_signature", prompt_signatures))
    return pairs.join(known, on="prompt_digest", how="left", maintain_order="left").with_columns(
        _column("chosen_signature", signatures(pairs["same_chosen"], ANSWER_WIDTH, prepared=True))
    )


def _column(name: str, found: np.ndarray[tuple[int, int], np.dtype[np.uint16]]) -> pl.Series:
    return pl.Series(name, found, dtype=_SIGNATURE)


def exact_duplicates(pairs: pl.DataFrame) -> pl.DataFrame:
    """Rows whose three texts equal those of an earlier row."""
    return _repeated(pairs, _DIGESTS, "exact_duplicate")


def _repeated(pairs: pl.DataFrame, keys: list[str], rule: str) -> pl.DataFrame:
    again = pairs.select(
        "row", first=pl.col("id").first().over(keys), again=~pl.struct(keys).is_first_distinct()
    ).filter("again")
    return again.select("row", rule=pl.lit(rule), detail=pl.lit("same as ") + pl.col("first"))


def near_duplicates(pairs: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Rows whose prompt and chosen answer are both similar to those of one earlier row, whatever was rejected."""
    repeated = _repeated(pairs, ["prompt_digest", "chosen_digest"], "near_duplicate")
    rest = pairs.join(repeated, on="row", how="anti", maintain_order="left")
    chosen = rest["chosen_signature"].to_numpy()
    found = _prompts_alike(neighbours(chosen, threshold), rest, rest, threshold)
    return pl.concat([repeated, _most_alike(found, rest, rest, "near_duplicate")])


def earlier_duplicates(pairs: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """Rows whose three texts equal those of a pair of an earlier week."""
    known = earlier.group_by(_DIGESTS).agg(pl.col("id").min().alias("known"))
    return pairs.join(known, on=_DIGESTS, maintain_order="left").select(
        "row", rule=pl.lit("earlier_duplicate"), detail=pl.lit("same as ") + pl.col("known")
    )


def earlier_near_duplicates(pairs: pl.DataFrame, earlier: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Rows whose prompt and chosen answer are both similar to those of one pair of an earlier week."""
    known = earlier.sort("id")
    candidates = neighbours(pairs["chosen_signature"].to_numpy(), threshold, known["chosen_signature"].to_numpy())
    found = _prompts_alike(candidates, pairs, known, threshold)
    return _most_alike(found, pairs, known, "earlier_near_duplicate")


def _prompts_alike(
    candidates: pl.DataFrame, pairs: pl.DataFrame, others: pl.DataFrame, threshold: float
) -> pl.DataFrame:
    left = pairs["prompt_signature"].gather(candidates["row"]).to_numpy()
    right = others["prompt_signature"].gather(candidates["other"]).to_numpy()
    alike = pl.Series("prompts", similarities(left, right), dtype=pl.Float32)
    return candidates.with_columns(alike).filter(pl.col("prompts") >= pl.lit(threshold, dtype=pl.Float32))


def _most_alike(found: pl.DataFrame, pairs: pl.DataFrame, others: pl.DataFrame, rule: str) -> pl.DataFrame:
    """The rows found, each with the one most similar to it."""
    best = found.sort(["row", "similarity", "other"], descending=[False, True, False]).unique(
        "row", keep="first", maintain_order=True
    )
    similarity = best["similarity"].round(2).cast(pl.String)
    return pl.DataFrame(
        {"row": pairs["row"].gather(best["row"]), "rule": pl.Series([rule] * len(best), dtype=pl.String)}
    ).with_columns(detail=pl.lit("like ") + others["id"].gather(best["other"]) + " (" + similarity + ")")


def contradictions(pairs: pl.DataFrame, earlier: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Rows of the same prompt that prefer what another one rejects and reject what it prefers: all of them.

    Against earlier weeks, only texts that are equal count, and only the later row is named.
    """
    opposed = pl.concat([_opposed(pairs, pairs), _opposed(pairs, earlier), _nearly_opposed(pairs, threshold)])
    others = opposed.group_by("row").agg(pl.col("other").min()).sort("row")
    return others.select("row", rule=pl.lit("contradiction"), detail=pl.lit("opposite of ") + pl.col("other"))


def _opposed(pairs: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    opposite = ["prompt_digest", "rejected_digest", "chosen_digest"]
    return pairs.join(others, left_on=_DIGESTS, right_on=opposite).select("row", other="id_right")


def _nearly_opposed(pairs: pl.DataFrame, threshold: float) -> pl.DataFrame:
    shared = pairs.filter(pl.col("prompt_digest").is_duplicated())
    prompts = shared["prompt_digest"].to_numpy()
    chosen = shared["chosen_signature"].to_numpy()
    rejected = signatures(shared["same_rejected"], ANSWER_WIDTH, prepared=True)
    # Prefers what the other rejects; the reverse as well, or else one merely improves on the other.
    found = neighbours(chosen, threshold, rejected, groups=prompts, earlier_groups=prompts)
    back = similarities(rejected[found["row"].to_numpy()], chosen[found["other"].to_numpy()])
    mutual = found.filter(pl.Series(back >= np.float32(threshold), dtype=pl.Boolean))
    return pl.DataFrame({"row": shared["row"].gather(mutual["row"]), "other": shared["id"].gather(mutual["other"])})
