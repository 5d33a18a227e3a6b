"""The warm start on merged weights, against the plain pass through base and adapter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from trl import SFTConfig

from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.data import IGNORED
from grpo_pipeline.training.loading import load_policy
from grpo_pipeline.training.policy import Policy, fresh_policy
from grpo_pipeline.training.profiles import Hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.token_scores import CPU_TOKENS, score_labels
from grpo_pipeline.training.warm_start import LeftPadding, WarmStartTrainer
from grpo_pipeline_tests.training.windowed import windowed_model

ROWS = [
    {"input_ids": [5, 6, 7, 8, 9, 10], "labels": [IGNORED, IGNORED, IGNORED, 8, 9, 10]},
    {"input_ids": [11, 12, 13], "labels": [IGNORED, 12, 13]},
]

# Six requests to two sets of tools, of unequal lengths, in no order.
ALIKE = [
    {"input_ids": [*prompt, *answer], "labels": [IGNORED] * len(prompt) + answer}
    for prompt, answer in (
        ([*range(20, 60), 3, 4, 5], [8, 9, 10]),
        ([*range(60, 90), 3, 7], [12]),
        ([*range(20, 60), 3, 6], [8, 9, 11, 12, 13, 14, 15]),
        ([*range(20, 60)], [9, 8]),
        ([*range(60, 90), 9, 9, 9, 9, 9], [13, 14]),
        ([*range(20, 60), 3, 4, 7], [10]),
    )
]


def gradients(
    home: Path, tmp_path: Path, rows: list[dict[str, list[int]]], *, plain: bool
) -> tuple[float, dict[str, torch.Tensor]]:
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
    trainer = WarmStartTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows))
    # With checkpointing the trainer leaves the pass to TRL.
    trainer.args.gradient_checkpointing = plain
    answer_tokens = sum(label != IGNORED for row in rows for label in row["labels"])
    loss = trainer.compute_loss(model, LeftPadding(0)(rows), num_items_in_batch=torch.tensor(answer_tokens))
    loss.backward()
    return float(loss), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("rows", "at_once"),
    [(ROWS, CPU_TOKENS), (ALIKE, CPU_TOKENS), (ALIKE, 12)],
    ids=["unlike", "with like beginnings", "the rests in several parts"],
)
def test_loss_and_gradients_are_those_of_base_and_adapter(
    home: Path, tmp_path: Path, rows: list[dict[str, list[int]]], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grpo_pipeline.training.token_scores.CPU_TOKENS", at_once)
    merged_loss, merged = gradients(home, tmp_path, rows, plain=False)
    plain_loss, plain = gradients(home, tmp_path, rows, plain=True)
    assert merged_loss == pytest.approx(plain_loss, rel=1e-5)
    assert merged.keys() == plain.keys()
    for name, gradient in merged.items():
        torch.testing.assert_close(gradient, plain[name], rtol=1e-4, atol=1e-6)
    assert any("lora_A" in name for name in merged)


def test_what_prompts_begin_alike_with_is_read_once(home: Path) -> None:
    model = load_policy(locate_base_model("tiny-qwen3", home))
    sizes: list[int] = []
    model.get_decoder().register_forward_pre_hook(
        lambda _module, _args, given: sizes.append(given["input_ids"].numel()), with_kwargs=True
    )
    batch = LeftPadding(0)(ALIKE)
    scored = score_labels(model, batch["input_ids"], batch["attention_mask"], batch["labels"], IGNORED)
    assert len(scored) == sum(label != IGNORED for row in ALIKE for label in row["labels"])
    # Of 294, the two beginnings hold 39 and 30 tokens, and the longest of six rests 10.
    assert sum(sizes) == 2 * 39 + 6 * 10


def test_models_that_forget_what_they_read_read_every_sequence_whole() -> None:
    model = windowed_model(8)
    batch = LeftPadding(0)(ALIKE)
    tokens, mask, labels = batch["input_ids"], batch["attention_mask"], batch["labels"]
    scored = score_labels(model, tokens, mask, labels, IGNORED)
    log_probs = model(input_ids=tokens, attention_mask=mask).logits[:, :-1].log_softmax(-1)
    expected = log_probs.gather(-1, tokens[:, 1:, None]).squeeze(-1)[labels[:, 1:] != IGNORED]
    torch.testing.assert_close(scored, expected, rtol=1e-4, atol=1e-5)
