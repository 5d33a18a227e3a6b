from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from grpo_pipeline.gates.reward_fidelity import (
    Baseline,
    Fidelity,
    Share,
    accuracy_of,
    baseline_margins,
    calibration_error,
    wilson_interval,
)
from grpo_pipeline.gates.reward_model import reward_model_verdict
from grpo_pipeline.reward_modelling.scale import CLIP, RewardScale, fit_scale
from grpo_pipeline_tests.reward_modelling.planted import SETTINGS

GOOD = Fidelity(
    pairs=100,
    contributors=20,
    accuracy=Share(0.8, 0.71, 0.87),
    brier=0.15,
    calibration_error=0.04,
    length_correlation=0.1,
    baselines=(Baseline("longer", 0.6, Share(0.2, 0.1, 0.3)),),
)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({}, "pass", "80% (71% to 87%) of 100 held-out pairs of 20 contributors"),
        ({"accuracy": Share(0.6, 0.5, 0.7)}, "inconclusive", "may be chance"),
        ({"contributors": 7}, "inconclusive", "at least 8 contributors"),
        ({"accuracy": Share(0.8, None, None)}, "inconclusive", "contributors are needed"),
        ({"baselines": (Baseline("longer", 0.72, Share(0.08, 0.01, 0.2)),)}, "inconclusive", '"longer is better"'),
        ({"baselines": (Baseline("longer", 0.6, Share(0.2, -0.01, 0.4)),)}, "inconclusive", "60%"),
        ({"length_correlation": -0.3}, "fail", "goes by length: rank correlation -0.30"),
    ],
)
def test_it_counts_only_when_better_than_chance_and_every_rule_and_free_of_length(
    change: dict[str, object], status: str, words: str
) -> None:
    verdict = reward_model_verdict(replace(GOOD, **change), SETTINGS)  # type: ignore[arg-type]
    assert verdict.status == status
    assert words in verdict.reason
    assert verdict.reason.startswith("reward model not used: ") == (status != "pass")


@pytest.mark.parametrize(("right", "pairs"), [(65, 100), (0, 20), (20, 20), (117, 180)])
def test_the_interval_of_independent_pairs_is_wilsons(right: int, pairs: int) -> None:
    wanted = stats.binomtest(right, pairs).proportion_ci(method="wilson")
    found = wilson_interval(right / pairs, pairs, float(stats.norm.ppf(0.975)))
    assert found == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_pairs_of_the_same_people_count_as_fewer() -> None:
    source = np.random.default_rng(0)
    alone = (source.random(100) < 0.7).astype(float)
    together = np.repeat(alone[:20], 5)
    apart = accuracy_of(alone, [str(number) for number in range(100)], 0.95, 0)
    shared = accuracy_of(together, [str(number // 5) for number in range(100)], 0.95, 0)
    assert apart.low is not None
    assert apart.high is not None
    assert shared.low is not None
    assert shared.high is not None
    assert shared.high - shared.low > 1.8 * (apart.high - apart.low)


def test_the_rules_that_need_no_model_say_what_they_stand_for() -> None:
    rules = baseline_margins(["the price of tea"], ["the price of tea today"], ["no"])
    signs = {name: float(np.sign(margins[0])) for name, margins in rules.items()}
    assert signs == {"longer": 1, "shorter": -1, "similar to the prompt": 1, "unlike the prompt": -1}


def test_calibration_is_the_gap_between_what_is_said_and_what_is_so() -> None:
    assert calibration_error(np.full(10, 0.75)) == pytest.approx(0.25)
    assert calibration_error(np.array([0.75] * 3 + [0.25])) == pytest.approx(0.0)
    assert calibration_error(np.full(10, 0.01)) == pytest.approx(0.99)


def test_rewards_have_no_length_in_them_one_spread_and_an_end() -> None:
    source = np.random.default_rng(3)
    texts = [["x" * int(length) for length in source.integers(5, 500, 300)] for _ in range(2)]
    values = [
        np.log([len(text) for text in side]) * 4 + source.normal(size=300) + shift
        for side, shift in zip(texts, (1, 0), strict=True)
    ]
    scale = fit_scale(values[0], values[1], texts[0], texts[1])
    rewards = np.concatenate([scale.rewards(value, side) for value, side in zip(values, texts, strict=True)])
    assert abs(stats.spearmanr(rewards, [len(text) for side in texts for text in side]).statistic) < 0.05
    assert rewards.std() == pytest.approx(1, abs=0.1)
    assert np.abs(rewards).max() == CLIP


def test_an_answer_of_nothing_gets_the_lowest_reward() -> None:
    assert RewardScale(0, 0, 1, 1).rewards(np.array([5.0, 0.5]), [" \n", "Yes."]).tolist() == [-CLIP, 0.5]
