from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_pipeline.curation.contributors import largest_allowed
from grpo_pipeline_tests.curation.frames import curated, pair, rules_of


@pytest.mark.parametrize(
    ("counts", "allowed"),
    [
        ([1_000], 1_000),
        ([1_000, 10], 1_000),
        ([500, 500, 500], 500),
        ([30] * 8, 30),
        ([20] * 10, 20),
        # The rest gives 300; of 400 in all, 100 is a quarter.
        ([5_000] + [10] * 30, 100),
        # Below the floor no share matters.
        ([100] + [1] * 10, 20),
    ],
)
def test_the_cap_is_a_share_of_what_is_kept_and_spares_small_teams(counts: list[int], allowed: int) -> None:
    assert largest_allowed(counts, share=0.25, floor=20) == allowed


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.floats(0.01, 1), st.integers(0, 1_000))
def test_a_cap_once_applied_applies_no_further(counts: list[int], share: float, anonymous: int) -> None:
    allowed = largest_allowed(counts, share, 5, anonymous)
    kept = [min(count, allowed) for count in counts]
    assert [min(count, largest_allowed(kept, share, 5, anonymous)) for count in kept] == kept


def test_a_contributor_beyond_the_cap_loses_pairs_and_nobody_else_does() -> None:
    rows = [pair(number, user_id="spammer") for number in range(60)]
    rows += [pair(number, user_id=f"user-{number}") for number in range(60, 90)]
    result = curated(*rows, max_contributor_share=0.25, contributor_floor=5)
    kept = Counter(result.pairs["user_id"])
    assert kept.pop("spammer") == 10
    assert len(kept) == 30
    assert set(rules_of(result).values()) == {"contributor_cap"}
    # Chosen by a hash of the id: neither the first ones nor the last.
    numbers = [int(key[-4:]) for key in result.pairs["id"] if int(key[-4:]) < 60]
    assert numbers not in (list(range(10)), list(range(50, 60)))


def test_a_single_contributor_and_rows_without_one_keep_everything() -> None:
    assert rules_of(curated(*(pair(number, user_id="alone") for number in range(60)), contributor_floor=1)) == {}
    assert rules_of(curated(*(pair(number, user_id=None) for number in range(60)), contributor_floor=1)) == {}
