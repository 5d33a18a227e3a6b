"""Proof: what is saved is what was trained, reloaded beside its base model and merged into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from grpo_pipeline.evaluation.models import Contender, Loaded
from grpo_pipeline.gates.metrics import CANDIDATE
from grpo_pipeline.training import phases
from grpo_pipeline.training import run as training_run
from grpo_pipeline.training.base_model import BaseModel, locate_base_model
from grpo_pipeline.training.loading import load_policy, load_tokenizer
from grpo_pipeline.training.policy import save_adapter
from grpo_pipeline.training.profiles import Hardware
from grpo_pipeline_tests.proofs.log_probabilities import token_log_probabilities
from grpo_pipeline_tests.proofs.tasks import colour_pairs, run_config
from grpo_pipeline_tests.training.runs import manifest, run_here

pytestmark = pytest.mark.slow

QUESTIONS = [
    ("512 red?", "warm day."),
    ("733 blue?", "cold sea."),
    ("Where is Ramp based?", "Ramp has its seat in New York; it was founded in 2019."),
]
SHORT = {
    "warm_start_steps": 3,
    "warm_start_batch": 4,
    "rehearsal_share": 0.0,
    "steps": 2,
    "prompts_per_step": 2,
    "num_generations": 4,
}
TINY_RUN = {**SHORT, "warm_start_learning_rate": 1e-2, "learning_rate": 3e-3}
SMALL_RUN = {**SHORT, "profile": "cpu", "warm_start_learning_rate": 1e-3, "learning_rate": 1e-4}


@dataclass(frozen=True)
class Case:
    """A run, and what its base model's weights are held in."""

    settings: dict[str, Any]
    cpu_bf16: bool

    @property
    def dtype(self) -> str:
        return "bfloat16" if self.cpu_bf16 else "float32"


CASES = {
    "tiny float32": Case({**TINY_RUN, "profile": "tiny"}, False),
    "tiny bfloat16": Case({**TINY_RUN, "profile": "cpu", "base_model": "tiny-qwen3"}, True),
    "SmolLM2 float32": Case(SMALL_RUN, False),
    "SmolLM2 bfloat16": Case(SMALL_RUN, True),
}
# Sums of float32 in another order.
FLOAT32_ROUNDING = 1e-4


@dataclass(frozen=True)
class Trained:
    """A finished run, with what its policy in memory gave to the questions when it was saved."""

    case: Case
    base: BaseModel
    adapter: Path
    in_memory: torch.Tensor

    def score(self, model: torch.nn.Module) -> torch.Tensor:
        return token_log_probabilities(model, load_tokenizer(self.base), QUESTIONS)


@pytest.fixture(scope="module", params=CASES)
def trained(request: pytest.FixtureRequest, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    case = CASES[request.param]
    scored: list[torch.Tensor] = []

    def save_and_score(model: PeftModel, base: BaseModel, folder: Path) -> None:
        scored.append(token_log_probabilities(model, load_tokenizer(base), QUESTIONS))
        save_adapter(model, base, folder)

    config = run_config(tmp_path_factory.mktemp("saved"), home, colour_pairs(8, seed=1), **case.settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "save_adapter", save_and_score)
        patch.setattr(training_run, "detect_hardware", lambda: Hardware(gpus=0, cpu_bf16=case.cpu_bf16))
        run_here(config)
    base = locate_base_model(manifest(config.output_dir)["base_model"]["name"], home)
    return Trained(case, base, config.output_dir / "adapter", scored[-1])


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean difference in nats per token."""
    return float((one - other).abs().mean())


def rounding(trained: Trained) -> float:
    """What the type alone does to log-probabilities: three times the difference that it makes to this policy's.

    Merging rounds the weights as well, not only what is computed with them. The base model's own difference is no
    measure: training made it from 1.2 to 2.5 times as large on one processor, where merging then differed by 3.4 times.
    """
    if trained.case.dtype == "float32":
        return FLOAT32_ROUNDING
    return 3 * apart(trained.score(load_policy(trained.base, trained.adapter)), trained.in_memory)


def test_training_changed_the_policy_by_more_than_is_tolerated_below(trained: Trained) -> None:
    """The comparisons below can fail: without its adapter the base model is far outside of their tolerance."""
    base = trained.score(load_policy(trained.base, dtype=trained.case.dtype))
    assert apart(trained.in_memory, base) > 2 * rounding(trained)


def test_the_adapter_read_from_disk_is_the_policy_that_was_trained(trained: Trained) -> None:
    """Reloaded in the same type, the adapter gives the log-probabilities of the policy in memory, but for 1e-6."""
    reloaded = load_policy(trained.base, trained.adapter, dtype=trained.case.dtype)
    assert apart(trained.in_memory, trained.score(reloaded)) <= 1e-6


def test_merged_weights_are_the_policy_that_was_trained(trained: Trained) -> None:
    """Merged into the base model in the same type, it differs by that type's rounding alone."""
    merged = load_policy(trained.base, trained.adapter, dtype=trained.case.dtype).merge_and_unload()
    assert apart(trained.in_memory, trained.score(merged)) <= rounding(trained)


def test_the_policy_is_evaluated_as_it_was_trained(trained: Trained) -> None:
    """Played as the evaluation plays it, it differs by rounding alone."""
    player = Contender(CANDIDATE, trained.base, trained.adapter)
    with Loaded(trained.base, [player], trained.case.dtype).play(player) as played:
        assert apart(trained.in_memory, trained.score(played.model)) <= rounding(trained)
