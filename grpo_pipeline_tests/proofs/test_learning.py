"""Proof: the reward rises, held-out prompts are answered better, and a killed run ends as an undisturbed one."""

from __future__ import annotations

import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import ttest_ind

from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.verdict import Verdict
from grpo_pipeline_tests.proofs.tasks import judge, mean_score
from grpo_pipeline_tests.training.runs import manifest, metrics, reached, run_here, samples, start

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Proof:
    """A run, what its warm start alone had learned, and the verdict on the one against the other."""

    config: RunConfig
    warm_start: Path
    verdict: Verdict

    @property
    def folder(self) -> Path:
        return self.config.output_dir.parent

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The metrics of GRPO's steps."""
        return [row for row in metrics(self.config.output_dir) if row["phase"] == "GRPO"]


def kill_at(config: RunConfig, phase: str, step: int) -> None:
    """Start a training process of its own and kill it once a phase has reached a step."""
    process = start(config)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached(config.output_dir, phase, step) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors[-3000:]


@pytest.fixture(scope="module")
def killed_twice(undisturbed: RunConfig, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    """A run killed in the middle of the warm start and again in the middle of GRPO, then taken up."""
    folder = tmp_path_factory.mktemp("killed")
    config = undisturbed.model_copy(update={"output_dir": folder / "policy"})
    kill_at(config, "Warm start", 14)
    assert not (config.output_dir / "checkpoints" / "warm_start" / "adapter").exists()
    kill_at(config, "GRPO", 25)
    assert not (config.output_dir / "manifest.json").exists()
    warm_start = shutil.copytree(config.output_dir / "checkpoints" / "warm_start" / "adapter", folder / "warm_start")
    run_here(config)
    verdict = judge(folder, home, config.output_dir / "adapter", incumbent=warm_start)
    return Proof(config, warm_start, verdict)


def test_the_reward_rises_in_grpo_itself(killed_twice: Proof) -> None:
    """GRPO's mean reward is higher in its last quarter than in its first, beyond chance between steps."""
    rewards = [row["reward"] for row in killed_twice.steps]
    quarter = len(rewards) // 4
    rise = ttest_ind(rewards[-quarter:], rewards[:quarter], equal_var=False).confidence_interval(0.95)
    assert rise.low > 0, rise


def test_held_out_prompts_are_answered_better_than_after_the_warm_start(killed_twice: Proof) -> None:
    """The gate passes the policy over its own warm start, on prompts that neither has seen, by sampled answers."""
    assert killed_twice.verdict.status == "pass", killed_twice.verdict.reason
    assert "against the incumbent" in killed_twice.verdict.reason
    folder = killed_twice.folder
    before, after = (mean_score(folder, model, "contrastive_similarity") for model in ("incumbent", "candidate"))
    assert after > before + 0.1


def test_answers_are_cut_off_less_often_in_the_end(killed_twice: Proof) -> None:
    """The penalty for answers without an end teaches: sampling runs on less often in the last quarter."""
    cut = [row["completions/clipped_ratio"] for row in killed_twice.steps]
    quarter = len(cut) // 4
    assert sum(cut[-quarter:]) / quarter < 0.1


def test_a_run_killed_in_both_phases_ends_as_an_undisturbed_one(killed_twice: Proof, undisturbed: RunConfig) -> None:
    """After kill -9 in the warm start and in GRPO, the taken-up run has the same adapter, metrics and samples."""
    one, other = killed_twice.config.output_dir, undisturbed.output_dir
    assert manifest(one)["adapter_sha256"] == manifest(other)["adapter_sha256"]
    assert metrics(one) == metrics(other)
    assert samples(one).equals(samples(other))
