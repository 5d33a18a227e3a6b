"""The warm start on merged weights, against the plain pass through base and adapter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from trl import SFTConfig

from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.data import IGNORED
from grpo_pipeline.training.policy import Policy, fresh_policy
from grpo_pipeline.training.profiles import Hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.warm_start import LeftPadding, WarmStartTrainer

ROWS = [
    {"input_ids": [5, 6, 7, 8, 9, 10], "labels": [IGNORED, IGNORED, IGNORED, 8, 9, 10]},
    {"input_ids": [11, 12, 13], "labels": [IGNORED, 12, 13]},
]


def gradients(home: Path, tmp_path: Path, *, plain: bool) -> tuple[float, dict[str, torch.Tensor]]:
    policy = Policy(
        locate_base_model("tiny-qwen3", home),
        resolve(TrainingSettings(profile="tiny"), Hardware(0, cpu_bf16=False)),
    )
    model = fresh_policy(policy)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)
    arguments = SFTConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )
    trainer = WarmStartTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(ROWS))
    # With checkpointing the trainer leaves the pass to TRL.
    trainer.args.gradient_checkpointing = plain
    loss = trainer.compute_loss(model, LeftPadding(0)(ROWS), num_items_in_batch=torch.tensor(5))
    loss.backward()
    return float(loss), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_loss_and_gradients_are_those_of_base_and_adapter(home: Path, tmp_path: Path) -> None:
    merged_loss, merged = gradients(home, tmp_path, plain=False)
    plain_loss, plain = gradients(home, tmp_path, plain=True)
    assert merged_loss == pytest.approx(plain_loss, rel=1e-5)
    assert merged.keys() == plain.keys()
    for name, gradient in merged.items():
        torch.testing.assert_close(gradient, plain[name], rtol=1e-4, atol=1e-6)
    assert any("lora_A" in name for name in merged)
