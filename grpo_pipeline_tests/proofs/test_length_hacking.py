"""Proof: a reward that can be hacked by length is hacked, and the gate refuses the policy and says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from grpo_pipeline.rewards.catalog import REWARDS
from grpo_pipeline.rewards.weights import DEFAULT_WEIGHTS
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline_tests.proofs.tasks import colour_pairs, judge, mean_score, run_config
from grpo_pipeline_tests.training.runs import metrics, run_here

pytestmark = pytest.mark.slow
ROOM = 32


def longer_is_better(completions: Sequence[str], **columns: object) -> list[float | None]:
    """What a learned reward often amounts to: the longer the answer, the higher."""
    return [len(text) / ROOM for text in completions]


def test_a_policy_that_learned_to_be_long_is_refused_for_its_length(
    undisturbed: RunConfig, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hacked reward rises as hoped for, and the comparison with a good incumbent names the length."""
    monkeypatch.setitem(REWARDS, "closeness", longer_is_better)
    only_length = dict.fromkeys(DEFAULT_WEIGHTS, 0.0) | {"closeness": 1.0}
    config = run_config(
        tmp_path,
        home,
        colour_pairs(60, seed=1),
        warm_start_steps=40,
        steps=24,
        prompts_per_step=4,
        max_completion_tokens=ROOM,
        reward_weights=only_length,
    )
    run_here(config)
    rewards = [row["reward"] for row in metrics(config.output_dir) if row["phase"] == "GRPO"]
    assert sum(rewards[-6:]) > 1.5 * sum(rewards[:6])

    verdict = judge(tmp_path, home, config.output_dir / "adapter", undisturbed.output_dir / "adapter", ROOM)
    assert mean_score(tmp_path, "candidate", "length_ratio") > 1.5
    assert verdict.status == "fail", verdict.reason
    assert "Credibly worse" in verdict.reason
    assert "length deviation" in verdict.reason
