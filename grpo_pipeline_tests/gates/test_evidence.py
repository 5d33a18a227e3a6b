from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from grpo_pipeline.gates.evidence import contributor_means, e_value, scaled, sufficient_shift, threshold_at

WEEKS = 52
ERROR = 0.05


def null_accuracy(random: np.random.Generator, years: int, contributors: int) -> np.ndarray:
    """Differences in accuracy, (years, weeks, contributors), of candidates that are no better than the incumbent.

    The candidates of a year resemble each other (their training pairs overlap), the held-out pairs are the same ones
    every week, and a contributor's two to five pairs share a taste: what makes weekly looks dependent.
    """
    shared = random.normal(0, 0.25, (years, 1, contributors))
    own = random.normal(0, 0.15, (years, WEEKS, contributors))
    pairs = random.integers(2, 6, (1, 1, contributors))
    means = np.clip(0.55 + shared + own, 0, 1), np.clip(0.55 + random.normal(0, 0.25, shared.shape), 0, 1)
    candidate, incumbent = (random.binomial(pairs, np.broadcast_to(mean, own.shape)) / pairs for mean in means)
    return candidate - incumbent


def seen_by_week(contributors: int) -> np.ndarray:
    """Who has been held out by each week: eight in the first, three more every week."""
    return np.arange(contributors) < 8 + 3 * np.arange(WEEKS)[:, None]


def passing_weeks(differences: np.ndarray) -> np.ndarray:
    seen = np.where(seen_by_week(differences.shape[-1]), differences, np.nan)
    found = np.concatenate([e_value(years) for years in np.array_split(seen, 30)])
    return found >= threshold_at(np.arange(1, WEEKS + 1), ERROR)


@pytest.fixture(scope="module")
def null_year() -> np.ndarray:
    return null_accuracy(np.random.default_rng(0), 300, 8 + 3 * (WEEKS - 1))


def test_a_year_of_weekly_looks_at_candidates_that_are_no_better_rarely_promotes_one(null_year: np.ndarray) -> None:
    assert passing_weeks(null_year).any(axis=-1).mean() <= ERROR


def test_intervals_alone_would_promote_one_of_them_far_too_often(null_year: np.ndarray) -> None:
    seen = np.where(seen_by_week(null_year.shape[-1]), null_year, np.nan)
    count = np.isfinite(seen).sum(-1)
    error = np.nanstd(seen, axis=-1, ddof=1) / np.sqrt(count)
    above_zero = np.nanmean(seen, axis=-1) > stats.t.ppf(1 - ERROR / 2, count - 1) * error
    assert above_zero.any(axis=-1).mean() > 3 * ERROR


def test_skewed_differences_with_rare_large_losses_do_not_fool_the_bet() -> None:
    random = np.random.default_rng(1)
    small_gains = np.where(random.random((4000, 30)) < 0.05, -1.0, 1.0 / 19.0)
    assert (e_value(small_gains) >= 20).mean() <= ERROR


@pytest.mark.parametrize("contributors", [8, 40, 200])
def test_an_e_value_is_one_on_average_where_nothing_differs(contributors: int) -> None:
    random = np.random.default_rng(contributors)
    found = e_value(random.choice([-0.2, 0.0, 0.2], (8_000, contributors)))
    assert found.mean() == pytest.approx(1.0, abs=0.3)
    assert np.median(found) < 1.0


@pytest.mark.parametrize(("gain", "weeks", "least"), [(0.3, 26, 0.9), (0.2, 52, 0.9)])
def test_a_real_gain_is_promoted_in_time(null_year: np.ndarray, gain: float, weeks: int, least: float) -> None:
    random = np.random.default_rng(2)
    # So many of the pairs become right that the mean rises by the gain.
    better = np.clip(null_year + (random.random(null_year.shape) < 2 * gain) * 0.5, -1, 1)
    assert passing_weeks(better)[:, :weeks].any(axis=-1).mean() >= least


@pytest.mark.parametrize(("contributors", "gain"), [(8, 0.9), (11, 0.65)])
def test_few_contributors_with_a_large_gain_suffice_at_the_first_look(contributors: int, gain: float) -> None:
    assert e_value(np.full(contributors, gain)) >= threshold_at(1, ERROR)


def test_the_error_of_all_looks_together_is_the_one_that_was_set() -> None:
    spent = (1 / threshold_at(np.arange(1, 1_000_000), ERROR)).sum()
    assert spent == pytest.approx(ERROR, rel=1e-4)
    assert spent <= ERROR


def test_nobody_counts_more_than_once_however_many_pairs_they_gave() -> None:
    values, who = np.array([1.0, 0.0, 0.5, -1.0]), np.array(["a", "a", "a", "b"])
    assert contributor_means(values, who).tolist() == [0.5, -1.0]


def test_differences_beyond_the_scale_count_as_whole_ones() -> None:
    assert scaled(np.array([-3.0, 0.1, 0.5]), 0.25).tolist() == [-1.0, 0.4, 1.0]


def test_the_sufficient_shift_is_where_the_threshold_is_just_reached() -> None:
    spread = np.random.default_rng(3).normal(0, 0.2, 30)
    shift = sufficient_shift(spread, 80)
    assert shift is not None
    centred = spread - spread.mean()
    assert e_value(np.clip(centred + shift + 1e-6, -1, 1)) >= 80 > e_value(np.clip(centred + shift - 1e-3, -1, 1))
    assert sufficient_shift(spread[:3], 80) is None


def test_overwhelming_evidence_is_a_finite_number_and_one_total_loss_ends_only_the_boldest_bet() -> None:
    assert 1e12 < e_value(np.ones(5000)) < 1e14
    assert 0 < e_value(np.array([-1.0])) < 1
    assert e_value(np.array([-1.0, *np.ones(40)])) > 1e6
