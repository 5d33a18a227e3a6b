"""Adapters for tests, which change a model's answers without any training."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.loading import load_policy
from grpo_pipeline.training.policy import save_adapter


def random_adapter(base_model: str, home: Path, folder: Path, *, seed: int, strength: float) -> Path:
    """An adapter of random numbers on all linear layers; `strength` is the standard deviation of its second matrix."""
    base = locate_base_model(base_model, home)
    config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = get_peft_model(load_policy(base, trainable=True), config)
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=strength)
    save_adapter(policy, base, folder)
    return folder
