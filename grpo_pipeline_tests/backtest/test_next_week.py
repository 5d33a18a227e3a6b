from __future__ import annotations

import polars as pl

from grpo_pipeline.backtest.next_week import SEEN_PERSON, SEEN_PROMPT, pairs_to_score
from grpo_pipeline.dataset.build import build_dataset
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.dataset.feedback import FIRST, curated, pair, user_on, votes

SETTINGS = DatasetSettings()
TRAINER, NEWCOMER, HELD_OUT = user_on("train"), user_on("train", 1), user_on("held_out")
KNOWN = "Which investors led the last round of Ramp, and how much did each of them put in?"
OTHER = "How many people work at Carta today, and in which of its offices do they sit?"


def train() -> pl.DataFrame:
    rows = curated(pair("p1", TRAINER, KNOWN), pair("p2", HELD_OUT, "What does Plaid charge small businesses?"))
    return build_dataset(rows, votes(), FIRST, SETTINGS).train


def scored(*rows: dict[str, object]) -> dict[str, tuple[bool, bool]]:
    found = pairs_to_score(curated(*rows), train(), FIRST.shift(1), SETTINGS)
    return {row["id"]: (row[SEEN_PERSON], row[SEEN_PROMPT]) for row in found.iter_rows(named=True)}


def test_every_pair_of_the_week_is_scored_whatever_side_its_person_is_on() -> None:
    assert scored(
        pair("a", TRAINER, OTHER, 1),
        pair("b", NEWCOMER, f"{OTHER} Answer in one line, with the year of each.", 1),
        pair("c", HELD_OUT, "Name three risks of buying Figma stock before the end of the year", 1),
        pair("d", None, "Who founded Gusto and what did they do before?", 1),
    ) == {"a": (True, False), "b": (False, False), "c": (False, False), "d": (False, False)}


def test_a_prompt_that_training_had_nearly_word_for_word_is_seen() -> None:
    found = scored(pair("a", NEWCOMER, f"{KNOWN} Please.", 1), pair("b", NEWCOMER, KNOWN.upper(), 1))
    assert found == {"a": (False, True), "b": (False, True)}


def test_the_pairs_are_in_the_form_that_the_evaluation_reads() -> None:
    found = pairs_to_score(curated(pair("a", NEWCOMER, OTHER, 1)), train(), FIRST.shift(1), SETTINGS)
    assert set(train().columns) < set(found.columns)
    assert found["week"].to_list() == [FIRST.shift(1).key]
    assert found["prompt"].to_list() == [[{"role": "user", "content": OTHER}]]


def test_a_week_without_pairs_and_a_policy_without_training_pairs_are_no_trouble() -> None:
    assert pairs_to_score(curated(), train(), Week("2026-01-12"), SETTINGS).is_empty()
    rows = curated(pair("a", TRAINER, OTHER, 1))
    assert not pairs_to_score(rows, train().clear(), FIRST.shift(1), SETTINGS)[SEEN_PERSON].any()
