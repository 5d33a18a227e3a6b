import logging
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from grpo_pipeline.curation.curate import Curated, curate
from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline_tests.curation.frames import (
    MONDAY,
    PAIR_SCHEMA,
    TOPICS,
    curated,
    feedback_frame,
    pair,
    pairs_frame,
    vote,
)

ANSWERS = (*TOPICS, *(f"{topic} Indeed." for topic in TOPICS), "Mail ann@example.com.", "x", " ", "Caf\ufffd", None)
PROMPTS = ("Analyze @Ramp", "analyze @ramp.", "Who?", '[{"role":"user","content":"Who?"}]', "Ask 81.2.69.142", "", None)
ROW = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from(PROMPTS),
        "chosen": st.sampled_from(ANSWERS),
        "rejected": st.sampled_from(ANSWERS),
        "tools": st.sampled_from([None, "[]", '[{"name": "search"}]', "broken"]),
        "user_id": st.sampled_from(["ann", "bob", "cleo", "dan", "eve", None]),
        "review_status": st.sampled_from(["pending", "approved", "rejected"]),
        "source": st.sampled_from(["edit", "import"]),
        "score": st.sampled_from([None, 1.0, 5.0]),
        # Many rows of one moment, so that ids have to decide.
        "created_at": st.integers(0, 2).map(lambda hours: MONDAY + timedelta(hours=hours)),
    }
)
VOTE = st.fixed_dictionaries(
    {
        "feedback_type": st.sampled_from(["thumbs_up", "thumbs_down", "rating", "edit", "comment"]),
        "prompt": st.sampled_from(PROMPTS),
        "response": st.sampled_from(ANSWERS),
        "user_id": st.sampled_from(["ann", None]),
        "score": st.sampled_from([None, 1.0, 3.0, 5.0]),
    }
)
SETTINGS = CurationSettings(max_contributor_share=0.2, contributor_floor=2)


def frames(rows: list[dict[str, Any]], cast: list[dict[str, Any]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    pairs = [pair(number, **row) for number, row in enumerate(rows)]
    votes = [vote(number, **row) for number, row in enumerate(cast)]
    return pairs_frame(*pairs), feedback_frame(*votes)


def tables(result: Curated) -> list[pl.DataFrame]:
    return [result.pairs, result.votes, result.quarantine, result.signatures]


@settings(max_examples=40, deadline=None)
@given(st.data(), st.lists(ROW, max_size=24), st.lists(VOTE, max_size=12))
def test_the_order_of_rows_changes_nothing(
    data: st.DataObject, rows: list[dict[str, Any]], cast: list[dict[str, Any]]
) -> None:
    pairs, feedback = frames(rows, cast)
    half = len(pairs) // 2
    earlier = curate(pairs[:half], feedback.clear(), pl.DataFrame(), SETTINGS).signatures
    first = curate(pairs[half:], feedback, earlier, SETTINGS)
    shuffled = [
        frame[data.draw(st.permutations(range(len(frame))))] if len(frame) else frame
        for frame in (pairs[half:], feedback, earlier)
    ]
    again = curate(*shuffled, SETTINGS)
    assert again.counts == first.counts
    for left, right in zip(tables(first), tables(again), strict=True):
        assert_frame_equal(left, right)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=24), st.lists(VOTE, max_size=12))
def test_every_row_is_kept_or_set_aside_once_and_the_counts_add_up(
    rows: list[dict[str, Any]], cast: list[dict[str, Any]]
) -> None:
    pairs, feedback = frames(rows, cast)
    result = curate(pairs, feedback, pl.DataFrame(), SETTINGS)
    of_pairs = result.quarantine.filter(pl.col("table") == "preference_pairs")
    assert sorted([*result.pairs["id"], *of_pairs["id"]]) == sorted(pairs["id"])
    voting = feedback.filter(pl.col("feedback_type").is_in(["thumbs_up", "thumbs_down", "rating"]))
    of_votes = result.quarantine.filter(pl.col("table") == "agent_feedback")
    assert sorted([*result.votes["id"], *of_votes["id"]]) == sorted(voting["id"])
    for table, read in (("preference_pairs", pairs), ("agent_feedback", voting)):
        counted = {name: count for name, count in result.counts.items() if name.startswith(f"{table}.")}
        assert counted.pop(f"{table}.read") == len(read) == sum(counted.values())


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=24))
def test_what_was_curated_stays_as_it_is_when_curated_again(rows: list[dict[str, Any]]) -> None:
    pairs, feedback = frames(rows, [])
    first = curate(pairs, feedback, pl.DataFrame(), SETTINGS)
    again = curate(first.pairs.drop("flags"), feedback, pl.DataFrame(), SETTINGS)
    assert_frame_equal(again.pairs.drop("flags"), first.pairs.drop("flags"))
    assert_frame_equal(again.signatures, first.signatures)
    assert len(again.quarantine) == 0


def test_a_week_without_rows_is_an_empty_week() -> None:
    result = curated()
    assert result.pairs.schema == pl.Schema({**PAIR_SCHEMA, "flags": pl.List(pl.String)})
    assert [len(table) for table in tables(result)] == [0, 0, 0, 0]
    assert result.counts == {
        "preference_pairs.read": 0,
        "preference_pairs.kept": 0,
        "agent_feedback.read": 0,
        "agent_feedback.kept": 0,
    }


def test_an_empty_week_after_full_ones_is_an_empty_week() -> None:
    assert len(curated(earlier=curated(pair(1), pair(2)).signatures).pairs) == 0


def test_neither_quarantine_nor_log_holds_what_users_wrote(caplog: pytest.LogCaptureFixture) -> None:
    secret = "Zanzibar"
    rows = [
        pair(1, prompt=secret, chosen=f"{secret} {TOPICS[0]}"),
        pair(2, prompt=secret, chosen=f"{secret} {TOPICS[0]}"),
        pair(3, prompt=f"{secret}\ufffd"),
        pair(4, tools=secret),
        pair(5, chosen=f"mail {secret}@example.com", rejected=f"Mail {secret}@example.com"),
        pair(6, prompt=secret, chosen=f"{secret} is it."),
    ]
    with caplog.at_level(logging.DEBUG):
        result = curated(*rows)
    assert len(result.quarantine) == 4
    assert secret not in result.quarantine.write_csv()
    assert secret not in caplog.text
    assert "contributor_cap" in caplog.text


def test_odd_rows_stop_nothing() -> None:
    odd = [
        "\x00",
        "[" * 3_000,
        '[{"role":"user","content":"\\udfff"}]',
        "🙂" * 500,
        "a" * 200_000,
        "١٢٣٤٥٦٧٨٩٠",
        "%s{}\\1",
    ]
    rows = [pair(number, prompt=text, chosen=text, rejected=f"{text} ", tools=text) for number, text in enumerate(odd)]
    rows += [pair(100 + number, chosen=f"{text} and more words", tools="[]") for number, text in enumerate(odd)]
    result = curated(*rows, pair(999))
    assert "pair-0999" in result.pairs["id"].to_list()
    assert len(result.pairs) + len(result.quarantine) == len(rows) + 1
