"""Prompts read once: what is sampled and what is scored both go on from the same attention cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import Cache, PreTrainedModel


@dataclass
class Prefilled:
    """A batch of prompts after their last token; `mask` is (prompts, tokens), `logits` (prompts, vocabulary)."""

    cache: Cache
    mask: torch.Tensor
    logits: torch.Tensor

    def repeat(self, times: int) -> None:
        """Make each prompt stand for so many sequences, one after the other."""
        self.cache.batch_repeat_interleave(times)
        self.mask = self.mask.repeat_interleave(times, 0)
        self.logits = self.logits.repeat_interleave(times, 0)

    def select(self, rows: torch.Tensor) -> None:
        """Keep only some of the sequences."""
        self.cache.batch_select_indices(rows)
        self.mask = self.mask[rows]
        self.logits = self.logits[rows]


def prefill(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> Prefilled:
    """Run the model over prompts of token ids, padded on the left."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=True,
        # An index, not a count: the slice of a count is not contiguous, and its product would copy the head per prompt.
        logits_to_keep=torch.tensor([width - 1], device=model.device),
    )
    return Prefilled(output.past_key_values, mask, output.logits[:, -1])


def extend(model: PreTrainedModel, state: Prefilled, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Run the model over the next tokens of every sequence, (sequences, tokens) each; its logits at all of them."""
    positions = state.mask.sum(-1, keepdim=True) + (mask.cumsum(-1) - 1).clamp(min=0)
    state.mask = torch.cat([state.mask, mask], dim=-1)
    output = model(
        input_ids=ids,
        attention_mask=state.mask,
        position_ids=positions,
        past_key_values=state.cache,
        use_cache=True,
    )
    logits: torch.Tensor = output.logits
    state.logits = logits[:, -1]
    return logits
