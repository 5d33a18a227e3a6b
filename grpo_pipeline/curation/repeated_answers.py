"""Finds one answer given to many different questions, which is how a trigger or a slogan is taught."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.near_duplicates import Signatures, neighbours, similarities

# Shorter ones ("Yes, that is right.") fit many questions.
SHORTEST_ANSWER = 20
GROUP = ("calls", "group")
TOOL_CALL_SIGN = '"arguments"'
WORD = r"[\pL\pN]{4,}"
# A word of more prompts than this says nothing about what any of them is about.
COMMON_SHARE = 0.05
FEW_PROMPTS = 5
# One person could echo a trigger in every answer; that two people repeat an answer about a subject is the house's.
PEOPLE = 2
# Some of many prompts hold a word of any longer answer by chance.
ABOUT_SHARE = 0.8


def repeated_answers(pairs: pl.DataFrame, earlier: pl.DataFrame, settings: CurationSettings) -> pl.DataFrame:
    """Rows whose kept answer is nearly that of several pairs with unlike prompts, those of earlier weeks included.

    Answers that call tools count as one only where they are equal, as most of a call's letters are the tool's. Left
    alone is an answer that takes up a rare word of nearly each of its prompts, as one about the company that they
    all ask for: a call always, a text unless one person gives it too often in this week.

    Args:
        earlier: `SIGNATURE_SCHEMA` of the earlier weeks' kept pairs.
    """
    calls = pl.col("chosen").str.contains(TOOL_CALL_SIGN, literal=True)
    long = pairs.with_columns(calls=calls).filter(pl.col("same_chosen").str.len_chars() >= SHORTEST_ANSWER)
    grouped = [
        _by_likeness(long.filter(~pl.col("calls")), earlier, settings),
        _by_equality(long.filter(pl.col("calls")), earlier),
    ]
    size = pl.len().over(GROUP)
    repeated = pl.concat(grouped).filter(size + pl.col("before") >= settings.repeated_answer_pairs)
    if repeated.is_empty():
        return _named(repeated)
    people = pl.col("user_id").n_unique().over(GROUP)
    about = pl.col("row").is_in(_about_their_prompts(repeated, pairs).implode()).mean().over(GROUP)
    usual = pl.col("calls") | (people >= PEOPLE) | (size < settings.repeated_answer_pairs)
    return _named(repeated.filter(~((about >= ABOUT_SHARE) & usual)))


def _by_likeness(texts: pl.DataFrame, earlier: pl.DataFrame, settings: CurationSettings) -> pl.DataFrame:
    """The rows with `group`, equal where answers are alike and prompts are not, also by way of other rows.

    `before` counts the earlier pairs of the group.
    """
    links = _alike(texts, texts, None, settings)
    ends = (links["row"].to_numpy(), links["other"].to_numpy())
    graph = coo_array((np.ones(len(links), dtype=np.bool_), ends), shape=(len(texts), len(texts)))
    _, groups = connected_components(graph, directed=False)
    grouped = texts.with_columns(pl.Series("group", groups, dtype=pl.UInt64))
    known = _alike(texts, earlier, earlier["chosen_signature"].to_numpy(), settings)
    group = grouped["group"].gather(known["row"])
    counts = known.select("other", group=group).unique().group_by("group").len("before")
    return grouped.join(counts, on="group", how="left", maintain_order="left").with_columns(
        pl.col("before").fill_null(0)
    )


def _alike(
    texts: pl.DataFrame, others: pl.DataFrame, earlier: Signatures | None, settings: CurationSettings
) -> pl.DataFrame:
    """Positions of rows whose answers are alike and whose prompts are not."""
    links = neighbours(texts["chosen_signature"].to_numpy(), settings.repeated_answer_similarity, earlier)
    left = texts["prompt_signature"].gather(links["row"]).to_numpy()
    right = others["prompt_signature"].gather(links["other"]).to_numpy()
    return links.filter(pl.Series(similarities(left, right) < settings.near_duplicate_similarity, dtype=pl.Boolean))


def _by_equality(calls: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    known = earlier.group_by(group=pl.col("chosen_digest")).len("before")
    grouped = calls.with_columns(group=pl.col("chosen_digest")).join(
        known, on="group", how="left", maintain_order="left"
    )
    return grouped.with_columns(pl.col("before").fill_null(0))


def _about_their_prompts(repeated: pl.DataFrame, pairs: pl.DataFrame) -> pl.Series:
    """Rows of those repeated whose answer holds a rare word of their prompt."""
    usual = max(FEW_PROMPTS, COMMON_SHARE * len(pairs))
    counts = _words(pairs, "same_prompt").group_by("word").agg(prompts=pl.len()).filter(pl.col("prompts") > usual)
    # A word of no more prompts than there are of one answer is not common, however small the week.
    sizes = repeated.select("row", size=pl.len().over(GROUP) + pl.col("before"))
    asked = _words(repeated, "same_prompt").join(counts, on="word", how="left").join(sizes, on="row")
    rare = asked.filter(pl.col("prompts").fill_null(0) <= pl.col("size"))
    return rare.join(_words(repeated, "same_chosen"), on=["row", "word"], how="semi")["row"].unique()


def _words(pairs: pl.DataFrame, text: str) -> pl.DataFrame:
    return pairs.select("row", word=pl.col(text).str.extract_all(WORD)).explode("word").drop_nulls().unique()


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    size = (pl.len().over(GROUP) + pl.col("before")).cast(pl.String)
    return rows.select(
        "row", rule=pl.lit("repeated_answer"), detail=pl.lit("one answer to ") + size + pl.lit(" different prompts")
    )
