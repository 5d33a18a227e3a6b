"""First phase: fine-tuning on the corrections themselves, since a reward that is always zero teaches nothing."""

from __future__ import annotations

import math
from pathlib import Path

from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from grpo_pipeline.training.batches import split_batch
from grpo_pipeline.training.checkpoints import MarkWhole
from grpo_pipeline.training.data import TrainingData, warm_start_dataset
from grpo_pipeline.training.policy import Policy, fresh_policy, trainer_options
from grpo_pipeline.training.profiles import ResolvedTraining

PHASE = "Warm start"


def warm_start_steps(pairs: int, resolved: ResolvedTraining) -> int:
    """Optimizer steps of the warm start."""
    wanted = max(1, math.ceil(pairs * resolved.warm_start_epochs / resolved.warm_start_batch))
    return min(wanted, resolved.warm_start_steps or wanted)


def warm_start(
    policy: Policy,
    data: TrainingData,
    tokenizer: PreTrainedTokenizerBase,
    resolved: ResolvedTraining,
    folder: Path,
    checkpoint: Path | None,
    callback: TrainerCallback,
) -> SFTTrainer:
    """Train a fresh adapter on the corrections, from a checkpoint where there is one."""
    micro_batch, accumulation = split_batch(resolved.warm_start_batch, resolved.micro_batch, "warm_start_batch")
    trainer = SFTTrainer(
        model=fresh_policy(policy),
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=accumulation,
            learning_rate=resolved.warm_start_learning_rate,
            max_steps=warm_start_steps(len(data.examples), resolved),
            max_length=None,
            completion_only_loss=True,
            **trainer_options(resolved),
        ),
        train_dataset=warm_start_dataset(data, resolved),
        processing_class=tokenizer,
        callbacks=[callback, MarkWhole()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer
