"""Will GRPO learn anything? Judged on a few groups of sampled answers, before the time for it is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, variance
from typing import Any

# Of the two-sided interval, so that "at most" is wrong one time in ten.
CONFIDENCE = 0.8
# A group of four or more answers whose rewards differ by noise alone spreads further than this many times the noise
# in fewer than 1 of 100 cases (chi-square with three or more degrees of freedom).
TIMES_NOISE = 2.0
FEW_USEFUL, MOST_CUT_OFF = 0.4, 0.5
HOUR = 3600.0


@dataclass(frozen=True)
class Timing:
    """What was measured of the work itself, on one device; seconds are of one GRPO step."""

    steps: int
    answers_per_step: int
    devices: int
    tokens_per_answer: float
    sampling: float
    scoring: float
    training: float
    warm_start: float
    """Seconds of the whole warm start; 0 where none would come before."""
    took: float
    """Seconds that the pre-flight itself took."""

    @property
    def seconds_per_step(self) -> float:
        """Of all parts of a step."""
        return self.sampling + self.scoring + self.training


@dataclass(frozen=True)
class Sampled:
    """What a pre-flight measured: a row for each prompt, a value for each of its answers.

    A reward is None where none applies to the answer: training leaves it out of its group.
    """

    rewards: Sequence[Sequence[float | None]]
    again: Sequence[Sequence[float | None]]
    """The same answers, scored a second time."""
    cut: Sequence[Sequence[bool]]
    timing: Timing


@dataclass(frozen=True)
class Preflight:
    """What a pre-flight says; shares are of the prompts' groups or of the answers, 0 to 1."""

    go: bool
    reason: str
    prompts: int
    answers: int
    dead_groups: float
    useful_groups: float
    useful_groups_low: float
    useful_groups_high: float
    useful_groups_per_step: float
    cut_answers: float
    reward_mean: float
    reward_spread: float
    reward_noise: float
    tokens_per_answer: float
    tokens_per_step: float
    seconds_per_step: float
    steps: int
    device_hours: float
    """Of GRPO; the warm start comes on top."""
    warm_start_device_hours: float
    seconds: float
    """That the pre-flight itself took."""

    def as_manifest(self) -> dict[str, Any]:
        """The `preflight` entry of a manifest."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


def judge(sampled: Sampled, *, min_useful: float, min_spread: float) -> Preflight:
    """Go, or no-go with the reason.

    A group is dead where all its rewards are equal. It is useful where their standard deviation is above their noise
    and at least one of its answers ended by itself, since a group that was cut throughout compares beginnings only.
    The noise is the error of one scoring, from scoring the same answers twice (Dahlberg's formula: the root of half
    the mean squared difference; Dahlberg 1940, "Statistical Methods for Medical and Biological Students"); rewards
    that are computed by rules have none. No-go where even the upper end of the useful share's Wilson interval is too
    low.
    """
    noise = _scoring_error(sampled)
    scored = [[value for value in group if value is not None] for group in sampled.rewards]
    spreads = [math.sqrt(variance(group)) if len(group) > 1 else 0.0 for group in scored]
    floor = max(min_spread, TIMES_NOISE * noise)
    useful = [spread > floor and not all(cut) for spread, cut in zip(spreads, sampled.cut, strict=True)]
    low, high = _wilson(sum(useful), len(useful))
    timing = sampled.timing
    group = len(sampled.rewards[0])
    found = Preflight(
        go=high >= min_useful,
        reason="",
        prompts=len(useful),
        answers=group * len(useful),
        dead_groups=fmean(spread == 0 for spread in spreads),
        useful_groups=fmean(useful),
        useful_groups_low=low,
        useful_groups_high=high,
        useful_groups_per_step=fmean(useful) * timing.answers_per_step / group,
        cut_answers=fmean(value for row in sampled.cut for value in row),
        reward_mean=_mean([value for group in scored for value in group]),
        reward_spread=math.sqrt(fmean(spread**2 for spread in spreads)),
        reward_noise=noise,
        tokens_per_answer=timing.tokens_per_answer,
        tokens_per_step=timing.tokens_per_answer * timing.answers_per_step,
        seconds_per_step=timing.seconds_per_step,
        steps=timing.steps,
        device_hours=timing.steps * timing.seconds_per_step * timing.devices / HOUR,
        warm_start_device_hours=timing.warm_start * timing.devices / HOUR,
        seconds=timing.took,
    )
    return replace(found, reason=_words(found, min_useful))


def _words(found: Preflight, min_useful: float) -> str:
    useful = round(found.useful_groups * found.prompts)
    seen = (
        f"{useful} of {found.prompts} prompts have answers whose rewards differ by more than noise (spread "
        f"{found.reward_spread:.3f}, noise {found.reward_noise:.3f}), and {found.cut_answers:.0%} of the answers were "
        "cut off"
    )
    if found.go:
        costly = " Most of the sampling will teach nothing." if found.useful_groups < FEW_USEFUL else ""
        return f"Go: {seen}; {found.useful_groups_per_step:.1f} useful groups a step.{costly}"
    if found.cut_answers > MOST_CUT_OFF:
        remedy = "Raise GRPO_TRAINING__MAX_COMPLETION_TOKENS, or train longer in the warm start"
    else:
        remedy = (
            "GRPO learns from answers that differ in reward: give it a reward that grades more finely, a longer warm "
            "start, a higher GRPO_TRAINING__TEMPERATURE or more GRPO_TRAINING__NUM_GENERATIONS"
        )
    return (
        f"No-go: {seen}; at most {found.useful_groups_high:.0%} of the groups would teach anything, and "
        f"{min_useful:.0%} are asked for. {remedy}. To train all the same: GRPO_TRAINING__PREFLIGHT=false."
    )


def _scoring_error(sampled: Sampled) -> float:
    pairs = [
        (first, second)
        for row, other in zip(sampled.rewards, sampled.again, strict=True)
        for first, second in zip(row, other, strict=True)
        if first is not None and second is not None
    ]
    return math.sqrt(_mean([(first - second) ** 2 for first, second in pairs]) / 2)


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def _wilson(useful: int, groups: int) -> tuple[float, float]:
    # scipy.stats takes a second to import, and the code location reads what is said here too.
    from scipy import stats

    interval = stats.binomtest(useful, groups).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)
