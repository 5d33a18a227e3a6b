from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_pipeline.rewards.advantages import ScaleRewards, advantages

TOTALS = st.lists(st.one_of(st.none(), st.floats(-3, 3)), min_size=2, max_size=32)


@given(TOTALS, st.sampled_from(["batch", "group", "none"]))
def test_a_group_gains_nothing_as_a_whole_and_keeps_its_order(totals: list[float | None], scale: ScaleRewards) -> None:
    gains = advantages(totals, scale)
    assert sum(gains) == pytest.approx(0, abs=1e-6)
    known = sorted((total, gain) for total, gain in zip(totals, gains, strict=True) if total is not None)
    assert all(first[1] <= second[1] + 1e-9 for first, second in pairwise(known))
    assert all(gain == 0 for total, gain in zip(totals, gains, strict=True) if total is None)


def test_equal_answers_have_no_advantage() -> None:
    assert advantages([0.7] * 4, "batch") == pytest.approx([0] * 4, abs=1e-9)


def test_an_answer_that_nothing_can_judge_changes_nothing_for_the_others() -> None:
    assert advantages([1.0, None, 0.0], "batch") == pytest.approx(
        [advantages([1.0, 0.0], "batch")[0], 0.0, advantages([1.0, 0.0], "batch")[1]]
    )
    assert advantages([None, None], "batch") == [0.0, 0.0]
