"""What the base model makes of an answer: the mean of a middle layer's hidden states over its tokens.

A middle layer predicts preferences better than the last one, and the mean better than the last token (measured on
human preference pairs with a 135M model: 0.637 against 0.614 at 320 pairs); half the layers are half the cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, PreTrainedModel

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.padding import padded

Tokens = Sequence[int]
# Prompts that differ by less count as of one length when batches are made.
SAME_LENGTH = 16


@dataclass(frozen=True)
class Answered:
    """A prompt and answers to it, as token ids; no answer is empty."""

    prompt: Tokens
    answers: Sequence[Tokens]

    @property
    def size(self) -> int:
        """Tokens that the model reads for it."""
        return len(self.prompt) + sum(map(len, self.answers))


def load_lower_half(base: BaseModel, dtype: str, device: torch.device) -> PreTrainedModel:
    """The base model up to its middle layer, without what comes after it.

    Raises:
        PipelineError: its files cannot be read.
    """
    try:
        config = AutoConfig.from_pretrained(base.folder)
        layers = config.num_hidden_layers // 2
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:layers]
        model = AutoModel.from_pretrained(base.folder, config=config, dtype=getattr(torch, dtype))
    except (OSError, ValueError, SafetensorError) as error:
        raise PipelineError(
            f"The base model {base.name} cannot be loaded: its files are damaged or incomplete."
        ) from error
    return model.eval().to(device)


class FeatureExtractor:
    """Turns answers into features, prompts read once however many answers they have."""

    def __init__(self, model: PreTrainedModel, batch_tokens: int) -> None:
        self.model = model
        self.batch_tokens = batch_tokens

    def features(
        self, items: Sequence[Answered], advance: Callable[[int], None] = lambda tokens: None
    ) -> NDArray[np.float32]:
        """Features (answers, width) of all answers, in the order of the items and their answers.

        Args:
            items: prompts with their answers.
            advance: told how many tokens were read, batch by batch.
        """
        ends = np.cumsum([len(item.answers) for item in items])
        found = np.zeros((int(ends[-1]) if len(items) else 0, self.model.config.hidden_size), dtype=np.float32)
        for batch in batches(items, self.batch_tokens):
            rows = [row for number in batch for row in range(ends[number] - len(items[number].answers), ends[number])]
            found[rows] = self._batch([items[number] for number in batch])
            advance(sum(items[number].size for number in batch))
        return found

    @torch.inference_mode()
    def _batch(self, batch: Sequence[Answered]) -> NDArray[np.float32]:
        prompts, prompt_mask = padded([item.prompt for item in batch], self.model.device, "left")
        answers, answer_mask = padded([answer for item in batch for answer in item.answers], self.model.device)
        cache = self.model(
            input_ids=prompts,
            attention_mask=prompt_mask,
            position_ids=(prompt_mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=True,
        ).past_key_values
        asked = torch.tensor([row for row, item in enumerate(batch) for _ in item.answers], device=self.model.device)
        cache.batch_select_indices(asked)
        read = prompt_mask[asked]
        hidden = self.model(
            input_ids=answers,
            attention_mask=torch.cat([read, answer_mask], dim=-1),
            position_ids=read.sum(-1, keepdim=True) + (answer_mask.cumsum(-1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        weights = answer_mask.unsqueeze(-1).float()
        mean = (hidden.float() * weights).sum(1) / weights.sum(1)
        return np.asarray(mean.cpu().numpy(), dtype=np.float32)


def batches(items: Sequence[Answered], batch_tokens: int) -> list[list[int]]:
    """The items' numbers in batches of like lengths that hold at most so many tokens, padding included.

    Sorted by prompts of about one length and then by answers: a quarter less padding than sorted by their sum.
    """

    def lengths(number: int) -> tuple[int, int, int]:
        prompt, answer = len(items[number].prompt), max(map(len, items[number].answers))
        return -(prompt // SAME_LENGTH), -answer, number

    found: list[list[int]] = []
    for number in sorted(range(len(items)), key=lengths):
        if found and padded_tokens([items[other] for other in [*found[-1], number]]) <= batch_tokens:
            found[-1].append(number)
        else:
            found.append([number])
    return found


def padded_tokens(batch: Sequence[Answered]) -> int:
    """Tokens that the model reads for a batch, padding included."""
    answers = [len(answer) for item in batch for answer in item.answers]
    return len(batch) * max(len(item.prompt) for item in batch) + len(answers) * max(answers)
