"""DPO: learns to prefer the correction over the answer it replaced, without sampling (Rafailov et al. 2023,
https://arxiv.org/abs/2305.18290); the method that a GRPO run has to beat on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch.utils.data import SequentialSampler
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer

from grpo_pipeline.training.batches import split_batch
from grpo_pipeline.training.checkpoints import MarkWhole
from grpo_pipeline.training.data import TrainingData, dpo_dataset
from grpo_pipeline.training.loading import load_policy
from grpo_pipeline.training.methods.budget import dpo_steps
from grpo_pipeline.training.policy import Policy, lora_config, trainer_options

ANSWERS_OF_A_PAIR = 2


class FixedOrderDPOTrainer(DPOTrainer):
    """TRL's trainer on tokens and an order of examples that were decided before."""

    def _prepare_dataset(self, dataset: Dataset, *_: object) -> Dataset:
        return dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:  # noqa: ANN401
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)


def train_dpo(
    policy: Policy,
    data: TrainingData,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    checkpoint: Path | None,
    callbacks: Sequence[TrainerCallback],
) -> DPOTrainer:
    """Train a fresh adapter on the pairs, from a checkpoint where there is one; the base model is the reference."""
    resolved = policy.resolved
    pairs_at_once = max(1, resolved.micro_batch // ANSWERS_OF_A_PAIR)
    micro_batch, accumulation = split_batch(resolved.warm_start_batch, pairs_at_once, "warm_start_batch")
    steps = dpo_steps(data, resolved)
    trainer = FixedOrderDPOTrainer(
        model=load_policy(policy.base, dtype=resolved.dtype, trainable=True),
        # Given apart from the model, so that the reference is the model without it and no second adapter is needed.
        peft_config=lora_config(resolved),
        args=DPOConfig(
            output_dir=str(folder),
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=accumulation,
            learning_rate=resolved.dpo_learning_rate,
            beta=resolved.dpo_beta,
            max_steps=steps,
            max_length=None,
            **trainer_options(resolved),
        ),
        train_dataset=dpo_dataset(data, resolved, steps),
        processing_class=tokenizer,
        callbacks=[*callbacks, MarkWhole()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer
