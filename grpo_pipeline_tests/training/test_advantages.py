"""The ranking that people see is the one that training uses."""

from __future__ import annotations

import inspect

import pytest
import torch
from trl import GRPOTrainer
from trl.trainer.utils import nanstd

from grpo_pipeline.rewards.advantages import EPSILON, ScaleRewards, advantages

GROUPS: list[list[float | None]] = [
    [0.9, 0.1, -0.3, 0.4],
    [0.5, 0.5],
    [1.0, None, 0.0, 0.25],
    [None, 0.3],
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, -2.0],
]


@pytest.mark.parametrize("scale", ["batch", "group", "none"])
@pytest.mark.parametrize("totals", GROUPS, ids=str)
def test_advantages_are_those_of_the_trainer(totals: list[float | None], scale: ScaleRewards) -> None:
    rewards = torch.tensor([float("nan") if total is None else total for total in totals], dtype=torch.float64)
    expected = rewards - torch.nanmean(rewards)
    if scale != "none":
        expected = expected / (nanstd(rewards) + EPSILON)
    expected = torch.nan_to_num(expected, nan=0.0)
    # TRL computes its correction for small samples in single precision.
    assert advantages(totals, scale) == pytest.approx(expected.tolist(), abs=1e-6)


def test_the_trainer_still_computes_them_so() -> None:
    source = inspect.getsource(GRPOTrainer)
    for line in (
        "advantages = rewards - mean_grouped_rewards",
        "advantages = advantages / (std_rewards + 1e-4)",
        "std_rewards = nanstd(rewards).expand_as(rewards)",
        "advantages = torch.nan_to_num(advantages, nan=0.0)",
    ):
        assert line in source
