"""Proof: the base model's weights are the same bits after 200 cycles of generating and training."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from grpo_pipeline.training import phases
from grpo_pipeline.training import run as training_run
from grpo_pipeline.training.profiles import Hardware
from grpo_pipeline_tests.proofs.tasks import colour_pairs, run_config
from grpo_pipeline_tests.training.runs import metrics, run_here, samples

pytestmark = pytest.mark.slow
CYCLES = 200
QUICK = {
    "profile": "cpu",
    "base_model": "tiny-qwen3",
    "warm_start": False,
    "steps": CYCLES,
    "epochs": CYCLES,
    "prompts_per_step": 1,
    "num_generations": 2,
    "micro_batch": 2,
    "max_completion_tokens": 4,
    "learning_rate": 1e-3,
    "beta": 0.02,
    "save_every": CYCLES,
}
TINY_ANSWERS = {"chosen": "day", "rejected": "sea"}


def base_digest(model: PeftModel) -> str:
    """SHA-256 over every weight and buffer but the adapters', by name and bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if "lora_" in name:
            continue
        digest.update(f"{name} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bfloat16"])
def test_the_base_weights_do_not_drift_over_200_cycles(
    bf16: bool, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cycle samples answers from the policy as it then is and learns from them; only the adapter changes."""
    digests: list[str] = []
    train_grpo = phases.train_grpo

    def between_digests(model: PeftModel, *rest: Any, **named: Any) -> Any:  # noqa: ANN401
        digests.append(base_digest(model))
        trainer = train_grpo(model, *rest, **named)
        digests.append(base_digest(trainer.accelerator.unwrap_model(trainer.model)))
        return trainer

    monkeypatch.setattr(phases, "train_grpo", between_digests)
    monkeypatch.setattr(training_run, "detect_hardware", lambda: Hardware(gpus=0, cpu_bf16=bf16))
    pairs = [
        {**item, **{name: [{"role": "assistant", "content": text}] for name, text in TINY_ANSWERS.items()}}
        for item in colour_pairs(8, seed=1)
    ]
    config = run_config(tmp_path, home, pairs, **QUICK)
    run_here(config)
    assert len(samples(config.output_dir)) == CYCLES * 2
    moved = [row["grad_norm"] > 0 for row in metrics(config.output_dir) if row["phase"] == "GRPO"]
    assert len(moved) == CYCLES
    assert sum(moved) > CYCLES / 2
    assert digests[0] == digests[1]
