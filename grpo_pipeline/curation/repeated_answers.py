"""Finds one answer given to many different questions, which is how a trigger or a slogan is taught."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.near_duplicates import neighbours, similarities

# Shorter ones ("Yes, that is right.") fit many questions.
SHORTEST_ANSWER = 20
TOOL_CALL_SIGN = '"arguments"'
WORD = r"[\pL\pN]{4,}"
# A word of more prompts than this says nothing about what any of them is about.
COMMON_SHARE = 0.05
# One person could echo a trigger in every answer; that two people repeat an answer about a subject is the house's.
PEOPLE = 2
# Some of many prompts hold a word of any longer answer by chance.
ABOUT_SHARE = 0.8


def repeated_answers(pairs: pl.DataFrame, settings: CurationSettings) -> pl.DataFrame:
    """Rows whose kept answer is nearly that of several pairs with unlike prompts: all of them.

    Answers that call tools count as one only where they are equal, as most of a call's letters are the tool's. Left
    alone is an answer that takes up a rare word of nearly each of its prompts, as one about the company that they
    all ask for: a call always, a text where several people give it.
    """
    calls = pl.col("chosen").str.contains(TOOL_CALL_SIGN, literal=True)
    long = pairs.with_columns(calls=calls).filter(pl.col("same_chosen").str.len_chars() >= SHORTEST_ANSWER)
    texts, same_calls = long.filter(~pl.col("calls")), long.filter(pl.col("calls"))
    grouped = [_by_likeness(texts, settings), same_calls.with_columns(group=pl.col("chosen_digest"))]
    repeated = pl.concat(grouped).filter(pl.len().over("calls", "group") >= settings.repeated_answer_pairs)
    if repeated.is_empty():
        return _named(repeated)
    people = pl.col("user_id").n_unique().over("group")
    about = pl.col("row").is_in(_about_their_prompts(repeated, pairs).implode()).mean().over("calls", "group")
    return _named(repeated.filter(~((about >= ABOUT_SHARE) & (pl.col("calls") | (people >= PEOPLE)))))


def _by_likeness(texts: pl.DataFrame, settings: CurationSettings) -> pl.DataFrame:
    """The rows with `group`, equal where answers are alike and prompts are not, also by way of other rows."""
    links = neighbours(texts["chosen_signature"].to_numpy(), settings.repeated_answer_similarity)
    left, right = (texts["prompt_signature"].gather(links[name]).to_numpy() for name in ("row", "other"))
    unlike = links.filter(pl.Series(similarities(left, right) < settings.near_duplicate_similarity, dtype=pl.Boolean))
    ends = (unlike["row"].to_numpy(), unlike["other"].to_numpy())
    graph = coo_array((np.ones(len(unlike), dtype=np.bool_), ends), shape=(len(texts), len(texts)))
    _, groups = connected_components(graph, directed=False)
    return texts.with_columns(pl.Series("group", groups, dtype=pl.UInt64))


def _about_their_prompts(repeated: pl.DataFrame, pairs: pl.DataFrame) -> pl.Series:
    """Rows of those repeated whose answer holds a rare word of their prompt."""
    count = pl.len().alias("prompts")
    common = _words(pairs, "same_prompt").group_by("word").agg(count).filter(count >= COMMON_SHARE * len(pairs))
    # In a small week, as many prompts as there are of one answer is not common yet.
    sizes = repeated.select("row", size=pl.len().over("calls", "group"))
    asked = _words(repeated, "same_prompt").join(common, on="word", how="left").join(sizes, on="row")
    rare = asked.filter(pl.col("prompts").fill_null(0) <= pl.max_horizontal("size", COMMON_SHARE * len(pairs)))
    return rare.join(_words(repeated, "same_chosen"), on=["row", "word"], how="semi")["row"].unique()


def _words(pairs: pl.DataFrame, text: str) -> pl.DataFrame:
    return pairs.select("row", word=pl.col(text).str.extract_all(WORD)).explode("word").drop_nulls().unique()


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    size = pl.len().over("calls", "group").cast(pl.String)
    return rows.select(
        "row", rule=pl.lit("repeated_answer"), detail=pl.lit("one answer to ") + size + pl.lit(" different prompts")
    )
