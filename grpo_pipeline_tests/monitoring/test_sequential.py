from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from grpo_pipeline.gates.evidence import e_process, e_value
from grpo_pipeline.monitoring.sequential import block_differences, compare, confidence_sequence

ERROR = 0.05
RUNS = 400
USERS = 600


def users(
    random: np.random.Generator, share: float, champion: float, challenger: float
) -> tuple[np.ndarray, np.ndarray]:
    """Users in their order: which version, and his verdict, the mean of one to five votes that share a taste.

    Everybody's success falls and rises again over time, which is no difference between the versions.
    """
    other = random.random(USERS) < share
    weather = 0.1 * np.sin(np.arange(USERS) / 40)
    chance = np.where(other, challenger, champion) + weather + random.uniform(-0.25, 0.25, USERS)
    count = random.integers(1, 6, USERS)
    return other, random.binomial(count, np.clip(chance, 0, 1)) / count


def looked_at_after_every_block(share: float, champion: float, challenger: float) -> tuple[float, float, float]:
    """How often worse and better were ever credible, and how often the true difference was ever outside."""
    random = np.random.default_rng(int(1000 * share))
    worse, better, missed = 0, 0, 0
    for run in range(RUNS):
        other, success = users(random, share, champion, challenger)
        differences = block_differences(other, success)
        worse += e_process(-differences).max() >= 2 / ERROR
        better += e_process(differences).max() >= 2 / ERROR
        if run < 50:
            looks = [confidence_sequence(differences[:count], ERROR) for count in range(1, len(differences), 7)]
            missed += any(not low <= challenger - champion <= high for low, high in looks)
    return worse / RUNS, better / RUNS, missed / 50


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_equal_versions_looked_at_after_every_block_are_rarely_told_apart(share: float) -> None:
    worse, better, missed = looked_at_after_every_block(share, 0.6, 0.6)
    assert worse + better <= ERROR
    assert missed <= ERROR + 0.02


def test_a_usual_test_looked_at_as_often_would_tell_them_apart_far_too_often() -> None:
    random, fooled = np.random.default_rng(0), 0
    for _ in range(100):
        other, success = users(random, 0.5, 0.6, 0.6)
        looks = range(20, USERS, 20)
        fooled += any(
            stats.ttest_ind(success[:look][other[:look]], success[:look][~other[:look]]).pvalue < ERROR
            for look in looks
        )
    assert fooled / 100 > 3 * ERROR


@pytest.mark.parametrize(("share", "challenger"), [(0.5, 0.45), (0.5, 0.75), (0.1, 0.35)])
def test_a_real_difference_is_found(share: float, challenger: float) -> None:
    worse, better, missed = looked_at_after_every_block(share, 0.6, challenger)
    found, wrong = (worse, better) if challenger < 0.6 else (better, worse)
    assert found >= 0.8
    assert wrong <= ERROR / 2
    assert missed <= ERROR + 0.02


def test_a_version_that_is_no_worse_on_average_is_not_found_worse_where_one_half_of_its_users_love_it() -> None:
    random, found = np.random.default_rng(3), 0
    for _ in range(200):
        other = random.random(USERS) < 0.5
        success = np.where(other, random.random(USERS) < 0.5, 0.5)
        found += compare(other, success, block_differences(other, success), ERROR).is_worse
    assert found / 200 <= ERROR


def test_the_running_evidence_ends_at_the_evidence_of_all() -> None:
    differences = np.random.default_rng(0).uniform(-1, 1, 200)
    assert e_process(differences)[-1] == pytest.approx(float(e_value(differences)))
    assert e_process(differences)[41] == pytest.approx(float(e_value(differences[:42])))
    assert e_process(np.array([])).size == 0


def test_a_block_ends_as_soon_as_both_versions_are_in_it() -> None:
    other = np.array([False, False, True, True, False, False])
    success = np.array([1.0, 0.0, 1.0, 0.2, 0.4, 1.0])
    assert block_differences(other, success) == pytest.approx([0.5, -0.2])


def test_nothing_is_said_of_nobody() -> None:
    nobody = compare(np.array([], dtype=bool), np.array([]), np.array([]), ERROR)
    assert (nobody.users, nobody.success, nobody.difference) == ((0, 0), (None, None), None)
    assert (nobody.low, nobody.high, nobody.is_worse, nobody.is_better) == (-1, 1, False, False)


def test_the_evidence_for_worse_is_kept_when_later_users_contradict_it() -> None:
    differences = np.concatenate([np.full(30, -0.6), np.full(60, 0.6)])
    other = np.arange(180) % 2 == 1
    found = compare(other, np.full(180, 0.5), differences, ERROR)
    assert found.is_worse
    assert not found.is_better
