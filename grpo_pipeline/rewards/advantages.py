"""Advantages: how much better an answer is than its group, as GRPO weighs it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

ScaleRewards = Literal["batch", "group", "none"]
# Keeps the division defined where all answers are equally good; TRL's value.
EPSILON = 1e-4


def advantages(totals: Sequence[float | None], scale: ScaleRewards) -> list[float]:
    """Each answer's advantage within its group: its total less the group's mean, by the spread where that is asked for.

    As TRL computes it (`GRPOTrainer._generate_and_score_completions`, sum then normalize): an answer to which no reward
    applies counts neither for the mean nor the spread and has the advantage 0. The spread is the sample standard
    deviation; with `batch` training takes it over all groups of a step, which here is the one group.

    Args:
        totals: the weighted sums of one group's answers, None where no reward applies.
        scale: what the differences are divided by.
    """
    known = [value for value in totals if value is not None]
    if not known:
        return [0.0] * len(totals)
    mean = sum(known) / len(known)
    spread = 1.0
    if scale != "none":
        # TRL's own spread of a single value is not a number, and so is what is divided by it: no advantage.
        if len(known) == 1:
            return [0.0] * len(totals)
        spread = math.sqrt(sum((value - mean) ** 2 for value in known) / (len(known) - 1)) + EPSILON
    return [0.0 if value is None else (value - mean) / spread for value in totals]
