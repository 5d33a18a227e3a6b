import random
from dataclasses import replace

import pytest

from grpo_pipeline.gates.preflight import Preflight, Sampled, Timing, judge

TIMING = Timing(
    steps=6,
    answers_per_step=16,
    devices=2,
    tokens_per_answer=40.0,
    sampling=6.0,
    scoring=1.0,
    training=5.0,
    warm_start=90.0,
    took=15.0,
)
DEAD, ALIVE = (0.5, 0.5, 0.5, 0.5), (0.0, 0.2, 0.4, 0.6)
WHOLE, CUT = (False,) * 4, (True,) * 4


def sampled(*groups: tuple[float, ...], cut: tuple[bool, ...] = WHOLE, error: float = 0.0, seed: int = 1) -> Sampled:
    """Groups scored twice, each scoring with an error of its own."""
    noise = random.Random(seed)

    def score() -> list[list[float]]:
        return [[value + noise.gauss(0.0, error) for value in group] for group in groups]

    return Sampled(score(), score(), [cut for _ in groups], TIMING)


def verdict(found: Sampled) -> Preflight:
    return judge(found, min_useful=0.2, min_spread=0.01)


@pytest.mark.parametrize(
    ("groups", "cut", "go", "said"),
    [
        ([ALIVE] * 8, WHOLE, True, "Go: 8 of 8 prompts"),
        ([ALIVE] * 2 + [DEAD] * 6, WHOLE, True, "Most of the sampling will teach nothing."),
        ([DEAD] * 8, WHOLE, False, "a reward that grades more finely"),
        ([ALIVE] * 8, CUT, False, "Raise GRPO_TRAINING__MAX_COMPLETION_TOKENS"),
        ([ALIVE] * 8, (True, True, True, False), True, "75% of the answers were cut off"),
        ([(0.5, 0.5, 0.5, 0.505)] * 8, WHOLE, False, "at most 17% of the groups"),
        # 1 of 32 is credibly less than a fifth; 0 of 4 is not.
        ([ALIVE] + [DEAD] * 31, WHOLE, False, "No-go: 1 of 32 prompts"),
        ([DEAD] * 4, WHOLE, True, "Go: 0 of 4 prompts"),
    ],
)
def test_go_or_no_go_is_decided_by_the_groups_that_can_teach(
    groups: list[tuple[float, ...]], cut: tuple[bool, ...], go: bool, said: str
) -> None:
    found = verdict(sampled(*groups, cut=cut))
    assert found.go == go
    assert said in found.reason


def test_a_spread_that_scoring_twice_explains_is_noise() -> None:
    found = verdict(sampled(*[DEAD] * 64, error=0.1))
    assert found.reward_noise == pytest.approx(0.1, rel=0.15)
    assert found.dead_groups == 0
    assert found.useful_groups < 0.05
    assert not found.go
    assert verdict(sampled(*[ALIVE] * 64, error=0.02)).go


def test_the_report_counts_what_a_step_will_be() -> None:
    found = verdict(sampled(*[ALIVE] * 6, *[DEAD] * 2))
    assert (found.prompts, found.answers, found.dead_groups, found.useful_groups) == (8, 32, 0.25, 0.75)
    assert found.useful_groups_low < 0.75 < found.useful_groups_high
    assert found.useful_groups_per_step == 3.0
    assert found.reward_spread == pytest.approx((0.75 * 0.2 / 3) ** 0.5)
    assert found.tokens_per_step == 640.0
    assert found.seconds_per_step == 12.0
    assert found.device_hours == pytest.approx(6 * 12 * 2 / 3600)
    assert found.warm_start_device_hours == pytest.approx(90 * 2 / 3600)
    assert found.as_manifest()["go"] is True


def test_the_share_asked_for_is_a_setting() -> None:
    half = sampled(*[ALIVE] * 4, *[DEAD] * 4)
    assert judge(half, min_useful=0.6, min_spread=0.01).go
    assert not judge(half, min_useful=0.8, min_spread=0.01).go
    assert judge(sampled(*[DEAD] * 8), min_useful=0.0, min_spread=0.01).go


def test_answers_of_a_longer_group_are_worth_as_many_steps() -> None:
    found = verdict(replace(sampled(*[ALIVE] * 8), timing=replace(TIMING, answers_per_step=32)))
    assert found.useful_groups_per_step == 8.0


def test_answers_that_no_reward_applies_to_are_left_out_of_their_group() -> None:
    found = verdict(
        Sampled([[None, 0.5, 0.5, None]] * 8, [[None, 0.5, 0.5, None]] * 8, [[False] * 4 for _ in range(8)], TIMING)
    )
    assert (found.go, found.dead_groups, found.reward_mean) == (False, 1.0, 0.5)
    nothing = Sampled([[None] * 4] * 8, [[None] * 4] * 8, [[False] * 4 for _ in range(8)], TIMING)
    assert not verdict(nothing).go
