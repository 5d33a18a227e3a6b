"""The policy in training: a base model with one LoRA adapter, and what all phases tell their trainers alike."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from transformers import set_seed

from grpo_pipeline.artifacts import flush_tree
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.loading import load_policy
from grpo_pipeline.training.profiles import ResolvedTraining

WEIGHTS_FILE = "adapter_model.safetensors"


@dataclass(frozen=True)
class Policy:
    """What a policy is made of."""

    base: BaseModel
    resolved: ResolvedTraining


def fresh_policy(policy: Policy) -> PeftModel:
    """The base model with a new adapter on all its linear layers, which changes nothing yet."""
    model = load_policy(policy.base, dtype=policy.resolved.dtype, trainable=True)
    set_seed(policy.resolved.seed)
    return get_peft_model(model, lora_config(policy.resolved))


def lora_config(resolved: ResolvedTraining) -> LoraConfig:
    """The form of a new adapter: on all linear layers, scaled so that its effect does not depend on its rank."""
    rank = resolved.lora_rank
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def trainer_options(resolved: ResolvedTraining) -> dict[str, Any]:
    """What the trainers of all phases are told alike."""
    return {
        "seed": resolved.seed,
        "data_seed": resolved.seed,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": resolved.dtype == "bfloat16",
        "gradient_checkpointing": resolved.gradient_checkpointing,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.1,
        "save_strategy": "steps",
        "save_steps": resolved.save_every,
        # The one before is only removed once the new one is there, whole or not.
        "save_total_limit": 2,
        "logging_steps": 1,
        # Otherwise a loss that is not a number is logged as the one before it.
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": [],
    }


def save_adapter(model: PeftModel, base: BaseModel, folder: Path) -> None:
    """Write the trained adapter so that it is there whole or not at all, naming its base model as people do."""
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    model.save_pretrained(draft, selected_adapters=["default"])
    (draft / "README.md").unlink(missing_ok=True)
    config_file = draft / "adapter_config.json"
    config = json.loads(config_file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base.name
    # A set, whose order would differ from run to run.
    config["target_modules"] = sorted(config["target_modules"])
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    flush_tree(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def copy_adapter(source: Path, folder: Path) -> None:
    """Copy a saved adapter so that it is there whole or not at all."""
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(source, draft)
    flush_tree(draft)
    draft.rename(folder)


def adapter_digest(folder: Path) -> str:
    """SHA-256 over an adapter's tensors by name, type, shape and bytes."""
    digest = hashlib.sha256()
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as tensors:
        for name in sorted(tensors.keys()):
            tensor = tensors.get_tensor(name).contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
