"""A reward model whose base is trained along: LoRA and a score on the last token, by TRL's RewardTrainer."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    set_seed,
)
from trl import RewardConfig, RewardTrainer

from grpo_pipeline.artifacts import flush_tree
from grpo_pipeline.reward_modelling.folds import Fold
from grpo_pipeline.reward_modelling.settings import RewardModelSettings
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.padding import padded
from grpo_pipeline.training.profiles import ResolvedTraining
from grpo_pipeline.training.reward_model.features import Answered, batches

# Keeps scores from drifting away together (Eisenstein et al. 2023, https://arxiv.org/abs/2312.09244).
CENTERING = 0.01


class LoraTraining:
    """Trains and scores LoRA reward models on one base model."""

    def __init__(
        self,
        base: BaseModel,
        tokenizer: PreTrainedTokenizerBase,
        resolved: ResolvedTraining,
        settings: RewardModelSettings,
        batch_tokens: int,
    ) -> None:
        self.base = base
        self.tokenizer = tokenizer
        self.resolved = resolved
        self.settings = settings
        self.batch_tokens = batch_tokens

    def left_out_values(
        self, pairs: Sequence[Answered], folds: Sequence[Fold], note: Callable[[str], None]
    ) -> NDArray[np.float64]:
        """Values (pairs, 2) of chosen and rejected answers by models that saw nothing of their fold."""
        found = np.zeros((len(pairs), 2))
        for number, fold in enumerate(folds, start=1):
            note(f"LoRA reward model {number} of {len(folds)} for the cross-validation.")
            with tempfile.TemporaryDirectory() as folder:
                adapter = self.train([pairs[row] for row in fold.train], Path(folder) / "adapter")
                scorer = LoraScorer(self.base, adapter, self.tokenizer, self.resolved.dtype, self.batch_tokens)
                found[fold.test] = scorer.values([pairs[row] for row in fold.test]).reshape(-1, 2)
        return found

    def train(self, pairs: Sequence[Answered], folder: Path) -> Path:
        """Train on pairs (chosen first) and write the adapter with its score layer to a folder."""
        resolved, settings = self.resolved, self.settings
        set_seed(settings.seed)
        model = load_scored(self.base, self.tokenizer, "float32" if resolved.dtype == "float32" else "bfloat16")
        micro_batch = min(resolved.micro_batch, settings.lora_batch)
        with tempfile.TemporaryDirectory() as working:
            trainer = RewardTrainer(
                model=model,
                args=RewardConfig(
                    output_dir=working,
                    per_device_train_batch_size=micro_batch,
                    gradient_accumulation_steps=max(1, settings.lora_batch // micro_batch),
                    max_steps=max(1, math.ceil(len(pairs) * settings.lora_epochs / settings.lora_batch)),
                    learning_rate=settings.lora_learning_rate,
                    lr_scheduler_type="linear",
                    warmup_steps=0.1,
                    center_rewards_coefficient=CENTERING,
                    # Longer pairs would be left out without a word; they were cut before.
                    max_length=None,
                    seed=settings.seed,
                    use_cpu=not torch.cuda.is_available(),
                    bf16=resolved.dtype == "bfloat16",
                    gradient_checkpointing=resolved.gradient_checkpointing,
                    save_strategy="no",
                    disable_tqdm=True,
                    report_to=[],
                ),
                train_dataset=Dataset.from_list(
                    [{f"{side}_ids": [*pair.prompt, *answer] for side, answer in _sides(pair)} for pair in pairs]
                ),
                processing_class=self.tokenizer,
                peft_config=LoraConfig(
                    r=resolved.lora_rank,
                    lora_alpha=2 * resolved.lora_rank,
                    target_modules="all-linear",
                    task_type="SEQ_CLS",
                    modules_to_save=["score"],
                ),
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            shutil.rmtree(folder, ignore_errors=True)
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        flush_tree(folder)
        return folder


def _sides(pair: Answered) -> list[tuple[str, Sequence[int]]]:
    return list(zip(("chosen", "rejected"), pair.answers, strict=True))


def load_scored(base: BaseModel, tokenizer: PreTrainedTokenizerBase, dtype: str) -> PreTrainedModel:
    """The base model with a new score layer in place of its LM head."""
    model = AutoModelForSequenceClassification.from_pretrained(base.folder, num_labels=1, dtype=getattr(torch, dtype))
    # Tells which token is an answer's last.
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


class LoraScorer:
    """Scores answers by a trained LoRA reward model."""

    def __init__(
        self, base: BaseModel, adapter: Path, tokenizer: PreTrainedTokenizerBase, dtype: str, batch_tokens: int
    ) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = PeftModel.from_pretrained(load_scored(base, tokenizer, dtype), adapter)
        self.model = model.to(device=device, dtype=getattr(torch, dtype)).eval()
        self.pad = int(tokenizer.pad_token_id)
        self.batch_tokens = batch_tokens

    def values(self, items: Sequence[Answered]) -> NDArray[np.float64]:
        """One value per answer (answers), in the order of the items and their answers."""
        single = [Answered(item.prompt, [answer]) for item in items for answer in item.answers]
        found = np.zeros(len(single))
        for batch in batches(single, self.batch_tokens):
            found[batch] = self._batch([[*single[number].prompt, *single[number].answers[0]] for number in batch])
        return found

    @torch.inference_mode()
    def _batch(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        ids, mask = padded(rows, self.model.device, filler=self.pad)
        output = self.model(input_ids=ids, attention_mask=mask)
        return np.asarray(output.logits[:, 0].float().cpu().numpy(), dtype=np.float64)
