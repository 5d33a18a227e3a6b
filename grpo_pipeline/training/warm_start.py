"""First phase: fine-tuning on the corrections themselves, since a reward that is always zero teaches nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from grpo_pipeline.training.batches import split_batch
from grpo_pipeline.training.checkpoints import MarkWhole
from grpo_pipeline.training.data import IGNORED, TrainingData, warm_start_dataset
from grpo_pipeline.training.gradients import average_gradients
from grpo_pipeline.training.merged import MergedPolicy
from grpo_pipeline.training.padding import padded
from grpo_pipeline.training.policy import Policy, fresh_policy, trainer_options
from grpo_pipeline.training.profiles import ResolvedTraining
from grpo_pipeline.training.rehearsal import rehearse_once
from grpo_pipeline.training.token_scores import score_labels

PHASE = "Warm start"


def warm_start_steps(pairs: int, resolved: ResolvedTraining) -> int:
    """Optimizer steps of the warm start."""
    wanted = max(1, math.ceil(pairs * resolved.warm_start_epochs / resolved.pairs_per_step))
    return min(wanted, resolved.warm_start_steps or wanted)


class LeftPadding:
    """Makes batches in which all answers end at the same place."""

    def __init__(self, pad_token: int) -> None:
        self.pad_token = pad_token

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Tokens, attention mask and labels, each of shape (rows, longest row)."""
        tokens, mask = padded([row["input_ids"] for row in rows], side="left", filler=self.pad_token)
        labels, _ = padded([row["labels"] for row in rows], side="left", filler=IGNORED)
        return {"input_ids": tokens, "attention_mask": mask, "labels": labels}


class WarmStartTrainer(SFTTrainer):
    """TRL's trainer on a fixed order of examples, with the policy merged and the LM head on answer tokens alone.

    Without Triton, TRL's own head scores prompts and padding as well, which is half the cost of a step on a CPU.
    """

    _merged: MergedPolicy | None = None

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:  # noqa: ANN401
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:  # noqa: ANN401
        """Mean negative log-likelihood of the step's answer tokens."""
        if self.args.gradient_checkpointing or return_outputs or num_items_in_batch is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self._merged is None:
            self._merged = MergedPolicy(self.accelerator.unwrap_model(self.model))
        mask, labels = inputs["attention_mask"], inputs["labels"]
        # The merged twin computes in its own precision.
        with torch.autocast(labels.device.type, enabled=False):
            log_probs = score_labels(self._merged.current(), inputs["input_ids"], mask, labels, IGNORED)
        # The count is over all processes, between which gradients are averaged.
        return -log_probs.sum() / num_items_in_batch * self.accelerator.num_processes

    def training_step(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        """One pass; with a step's last one the processes exchange what they found."""
        loss: torch.Tensor = super().training_step(model, *args, **kwargs)
        if self.accelerator.sync_gradients:
            average_gradients(self.accelerator, model)
            if self._merged is not None:
                self._merged.outdate()
        return loss


def warm_start(
    policy: Policy,
    data: TrainingData,
    tokenizer: PreTrainedTokenizerBase,
    resolved: ResolvedTraining,
    folder: Path,
    checkpoint: Path | None,
    callbacks: Sequence[TrainerCallback],
) -> SFTTrainer:
    """Train a fresh adapter on the corrections and what is rehearsed, from a checkpoint where there is one."""
    micro_batch, accumulation = split_batch(resolved.warm_start_batch, resolved.micro_batch, "warm_start_batch")
    steps = warm_start_steps(len(data.examples), resolved)
    rehearsed = rehearse_once(policy, tokenizer, folder, steps)
    trainer = WarmStartTrainer(
        model=fresh_policy(policy),
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=accumulation,
            learning_rate=resolved.warm_start_learning_rate,
            max_steps=steps,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            **trainer_options(resolved),
        ),
        train_dataset=warm_start_dataset(data, resolved, steps, rehearsed),
        data_collator=LeftPadding(tokenizer.pad_token_id),
        processing_class=tokenizer,
        callbacks=[*callbacks, MarkWhole()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer
