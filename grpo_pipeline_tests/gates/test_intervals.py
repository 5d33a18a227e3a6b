from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_pipeline.gates.intervals import Interval, clustered_interval, detectable_effect


def interval_of(values: np.ndarray, contributors: np.ndarray, confidence: float = 0.95, seed: int = 0) -> Interval:
    return clustered_interval(values, contributors, confidence=confidence, resamples=1000, seed=seed)


def clustered_noise(random: np.random.Generator, contributors: int, each: int, shared: float = 0.5) -> np.ndarray:
    return random.normal(0, shared, contributors).repeat(each) + random.normal(0, 1, contributors * each)


@pytest.mark.parametrize("contributors", [8, 20, 60])
def test_an_interval_misses_the_true_mean_about_as_often_as_it_says(contributors: int) -> None:
    random = np.random.default_rng(contributors)
    who = np.arange(contributors).repeat(4)
    misses = 0
    for _ in range(400):
        found = interval_of(clustered_noise(random, contributors, 4), who)
        misses += not found.low <= 0 <= found.high
    assert misses / 400 <= 0.085


def test_many_pairs_of_one_contributor_do_not_count_as_many_independent_ones() -> None:
    random = np.random.default_rng(3)
    who = np.arange(12).repeat(20)
    misses_clustered = misses_naive = 0
    for _ in range(200):
        values = clustered_noise(random, 12, 20, shared=1.0)
        clustered, naive = interval_of(values, who), interval_of(values, np.arange(len(values)))
        misses_clustered += not clustered.low <= 0 <= clustered.high
        misses_naive += not naive.low <= 0 <= naive.high
    assert misses_clustered / 200 <= 0.1
    assert misses_naive / 200 >= 0.3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_pairs_does_not_change_an_interval(seed: int) -> None:
    random = np.random.default_rng(seed)
    values, who = random.normal(size=30), random.integers(0, 9, 30)
    shuffled = random.permutation(30)
    assert interval_of(values, who) == interval_of(values[shuffled], who[shuffled])


def test_the_same_seed_gives_the_same_interval_twice_and_another_one_almost_the_same() -> None:
    random = np.random.default_rng(5)
    values, who = clustered_noise(random, 20, 3), np.arange(20).repeat(3)
    assert interval_of(values, who, seed=1) == interval_of(values, who, seed=1)
    assert interval_of(values, who, seed=1).low == pytest.approx(interval_of(values, who, seed=2).low, abs=0.1)


def test_a_single_contributor_gives_a_mean_without_an_interval() -> None:
    found = interval_of(np.array([0.0, 1.0]), np.array(["a", "a"]))
    assert (found.mean, found.low, found.high, found.standard_error) == (0.5, None, None, None)
    assert detectable_effect(found, 0.8) is None


def test_values_without_spread_have_no_detectable_effect() -> None:
    assert detectable_effect(interval_of(np.zeros(20), np.arange(20)), 0.8) is None


def test_an_effect_of_the_detectable_size_is_shown_about_as_often_as_promised() -> None:
    random = np.random.default_rng(11)
    who = np.arange(25).repeat(3)
    promised = np.median([detectable_effect(interval_of(clustered_noise(random, 25, 3), who), 0.8) for _ in range(100)])
    shown = [interval_of(clustered_noise(random, 25, 3) + promised, who).low > 0 for _ in range(300)]
    assert 0.7 <= np.mean(shown) <= 0.9
