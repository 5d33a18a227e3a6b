from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_pipeline.dataset.mining import mine_pairs, mined_id
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline_tests.dataset.feedback import moment, vote, votes

DEFAULTS = DatasetSettings()


def mine(*rows: dict[str, object], **chosen: int) -> pl.DataFrame:
    return mine_pairs(votes(*rows), DatasetSettings(**chosen))


def test_a_thumbs_up_and_a_thumbs_down_on_one_prompt_make_a_pair_dated_by_the_later_one() -> None:
    found = mine(
        vote("u1", "up", "Analyze @Ramp", "A long look at Ramp.", 2, user_id="ada"),
        vote("d1", "down", "analyze  @RAMP ", "Ramp is a company.", 0, user_id="bob"),
    )
    assert found.to_dicts() == [
        {
            "id": mined_id("u1", "d1"),
            "week": "2026-01-19",
            "first_week": "2026-01-05",
            "created_at": moment(2),
            "user_ids": ["ada", "bob"],
            "source_ids": ["u1", "d1"],
            "source": "mined",
            "prompt": "Analyze @Ramp",
            "chosen": "A long look at Ramp.",
            "rejected": "Ramp is a company.",
            "tools": None,
        }
    ]


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("another prompt", {"prompt": "Analyze @Brex"}),
        ("the same answer", {"response": "up"}),
        ("other tools", {"tools": '[{"name": "search"}]'}),
        (
            "another system message",
            {"prompt": '[{"role":"system","content":"Be brief"},{"role":"user","content":"A"}]'},
        ),
        ("too long ago", {"created_at": moment(-26)}),
        ("also a thumbs-up", {"vote": "up"}),
    ],
)
def test_votes_that_are_not_about_the_same_question_make_no_pair(reason: str, changed: dict[str, object]) -> None:
    other = {**vote("d1", "down", "A", "down"), **changed}
    assert mine(vote("u1", "up", "A", "up"), other).is_empty(), reason


def test_tools_in_another_spelling_are_the_same_tools() -> None:
    up = vote("u1", "up", "A", "up", tools='[{"name": "search", "limit": 3}]')
    down = vote("d1", "down", "A", "down", tools='{"limit":3,"name":"search"}')
    assert len(mine(up, down)) == 1


def test_an_answer_voted_both_ways_is_not_used() -> None:
    contested = [vote("u1", "up", "A", "so so"), vote("d1", "down", "A", "So so", minute=1)]
    assert mine(*contested, vote("d2", "down", "A", "bad", minute=2)).is_empty()


def test_each_vote_is_used_once_and_a_prompt_gives_a_limited_number_of_pairs() -> None:
    rows = [
        vote(f"{kind}{n}", kind, "A", f"{kind} {n}", minute=2 * n + (kind == "down"))
        for n in range(9)
        for kind in ("up", "down")
    ]
    found = mine(*rows, mined_pairs_per_prompt=5)
    used = found["source_ids"].explode().to_list()
    assert len(found) == 5
    assert len(set(used)) == len(used)
    assert mine(*rows, mined_pairs_per_prompt=0).is_empty()


def test_an_old_vote_is_replaced_by_a_newer_one_on_the_same_answer() -> None:
    old, new = vote("u1", "up", "A", "good", 0), vote("u2", "up", "A", "good", 20)
    assert mine(old, new, vote("d1", "down", "A", "bad", 30))["source_ids"].to_list() == [["u2", "d1"]]


VOTES = st.lists(
    st.tuples(st.sampled_from(["up", "down"]), st.sampled_from("AB"), st.integers(0, 6), st.integers(0, 40)),
    max_size=40,
).map(
    lambda drawn: votes(
        *(vote(f"v{n:02d}", kind, prompt, f"answer {text}", week) for n, (kind, prompt, text, week) in enumerate(drawn))
    )
)


@settings(max_examples=60, deadline=None)
@given(VOTES, st.integers(0, 40))
def test_neither_the_order_of_rows_nor_later_votes_change_a_pair(given_votes: pl.DataFrame, until: int) -> None:
    whole = mine_pairs(given_votes, DEFAULTS)
    shuffled = given_votes.sample(fraction=1, shuffle=True, seed=until)
    assert mine_pairs(shuffled, DEFAULTS).equals(whole)
    earlier = mine_pairs(given_votes.filter(pl.col("created_at") <= moment(until)), DEFAULTS)
    assert whole.filter(pl.col("created_at") <= moment(until)).equals(earlier)
