"""The trainer that spares itself work, against TRL's on the same frozen batch of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from trl import GRPOConfig, GRPOTrainer

from grpo_pipeline.training.base_model import BaseModel, locate_base_model
from grpo_pipeline.training.fast_grpo import FastGRPOTrainer
from grpo_pipeline.training.gradients import average_gradients
from grpo_pipeline.training.loading import load_tokenizer
from grpo_pipeline.training.policy import Policy, fresh_policy
from grpo_pipeline.training.profiles import Hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.token_scores import CPU_TOKENS

GROUP = 4
PROMPTS = ["Question 1?", "A much longer question about the second company, is it not?", "Why?"]
CUT = (1, 6)
DEAD_GROUP = 2


@pytest.fixture(scope="module")
def base(home: Path) -> BaseModel:
    return locate_base_model("tiny-qwen3", home)


def policy(base: BaseModel, seed: int = 1) -> PeftModel:
    """A policy whose adapter differs from nothing, as an adapter does after a warm start."""
    model = fresh_policy(Policy(base, resolve(TrainingSettings(profile="tiny"), Hardware(0, cpu_bf16=False))))
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)
    return model


def trainer(
    kind: type[GRPOTrainer],
    model: PeftModel,
    base: BaseModel,
    folder: Path,
    beta: float,
    **own: Any,  # noqa: ANN401
) -> GRPOTrainer:
    answers = GROUP * len(PROMPTS)
    return kind(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(
            output_dir=str(folder),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=answers,
            gradient_accumulation_steps=1,
            num_generations=GROUP,
            max_completion_length=12,
            temperature=0.7,
            beta=beta,
            loss_type="dr_grpo",
            epsilon_high=0.28,
            mask_truncated_completions=True,
            report_to=[],
        ),
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in PROMPTS]),
        processing_class=load_tokenizer(base),
        **own,
    )


def frozen_batch(base: BaseModel, beta: float) -> dict[str, Any]:
    """Answers of unequal lengths to prompts of unequal lengths, two of them cut, and one group without any spread."""
    tokenizer = load_tokenizer(base)
    torch.manual_seed(5)
    prompts = [tokenizer(prompt)["input_ids"] for prompt in PROMPTS for _ in range(GROUP)]
    width = max(len(prompt) for prompt in prompts) + 3
    rows = len(prompts)
    lengths = torch.randint(1, 13, (rows,))
    answer_mask = (torch.arange(14) < lengths.unsqueeze(1)).long()
    answer_mask[list(CUT)] = 0
    advantages = torch.randn(rows)
    advantages[DEAD_GROUP * GROUP : (DEAD_GROUP + 1) * GROUP] = 0
    batch: dict[str, Any] = {
        "prompt_ids": torch.tensor([[tokenizer.pad_token_id] * (width - len(ids)) + ids for ids in prompts]),
        "prompt_mask": torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]),
        "completion_ids": torch.randint(0, len(tokenizer), (rows, 14)),
        "completion_mask": answer_mask,
        "advantages": advantages,
        "num_items_in_batch": answer_mask.sum(),
    }
    if beta:
        batch["ref_per_token_logps"] = torch.randn(rows, 14) * 0.1 - 6.0
    return batch


def loss_and_gradients(trained: GRPOTrainer, batch: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    trained.model.train()
    trained.current_gradient_accumulation_steps = 1
    if isinstance(trained, FastGRPOTrainer):
        loss = trained._accumulate(trained.model, batch)
        average_gradients(trained.accelerator, trained.model)
    else:
        loss = trained.compute_loss(trained.model, batch)
        loss.backward()
    grads = {name: p.grad.clone() for name, p in trained.model.named_parameters() if p.grad is not None}
    return float(loss.detach()), grads


@pytest.mark.parametrize("beta", [0.0, 0.05])
@pytest.mark.parametrize("answers_per_pass", [12, 5])
@pytest.mark.parametrize("at_once", [CPU_TOKENS, 16], ids=["in one part", "in several parts"])
def test_loss_and_gradients_are_those_of_trl(
    base: BaseModel, tmp_path: Path, beta: float, answers_per_pass: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grpo_pipeline.training.token_scores.CPU_TOKENS", at_once)
    batch = frozen_batch(base, beta)
    plain = trainer(GRPOTrainer, policy(base), base, tmp_path, beta)
    fast = trainer(FastGRPOTrainer, policy(base), base, tmp_path, beta, answers_per_pass=answers_per_pass)
    expected_loss, expected = loss_and_gradients(plain, batch)
    loss, found = loss_and_gradients(fast, batch)
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-7)
    expected = {name: grad for name, grad in expected.items() if ".ref." not in name}
    assert found.keys() == expected.keys()
    assert max(float(grad.abs().max()) for grad in expected.values()) > 1e-4
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-3, atol=2e-7, msg=name)


def test_answers_are_sampled_without_the_adapter_beside_the_base(base: BaseModel, tmp_path: Path) -> None:
    fast = trainer(FastGRPOTrainer, policy(base), base, tmp_path, 0.0, answers_per_pass=12)
    used: list[str] = []
    for name, module in fast.accelerator.unwrap_model(fast.model).named_modules():
        if isinstance(module, LoraLinear):
            module.register_forward_hook(lambda *_, name=name: used.append(name))
    answers, _ = fast._generate_single_turn([[1, 2, 3]] * GROUP, None, {}, GROUP)
    assert len(answers) == GROUP
    assert not used
