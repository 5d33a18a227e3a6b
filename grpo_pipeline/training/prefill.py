"""Prompts read once: what is sampled and what is scored both go on from the same attention cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import Cache, DynamicLayer, PreTrainedModel

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.padding import padded


class ReservedLayer(DynamicLayer):
    """Keys and values in memory reserved for all tokens to come; joining them would copy all of them for each token.

    Args:
        read: the layer after the prompts.
        rows: for each sequence the prompt that it goes on from.
        room: how many tokens may follow.
    """

    def __init__(self, read: DynamicLayer, rows: torch.Tensor, room: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = read.dtype, read.device, True
        self._reserved = [self._reserve(states, rows, room) for states in (read.keys, read.values)]
        self._show(read.keys.shape[-2])

    @staticmethod
    def _reserve(states: torch.Tensor, rows: torch.Tensor, room: int) -> torch.Tensor:
        _, heads, tokens, size = states.shape
        reserved = states.new_empty(len(rows), heads, tokens + room, size)
        reserved[:, :, :tokens] = states[rows]
        return reserved

    def _show(self, tokens: int) -> None:
        self.keys, self.values = (states[:, :, :tokens] for states in self._reserved)

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *args: object,
        **kwargs: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take the next tokens' keys and values and return those of all."""
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        for reserved, states in zip(self._reserved, (key_states, value_states), strict=True):
            reserved[:, :, start:end] = states
        self._show(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep only some of the sequences."""
        tokens = self.keys.shape[-2]
        self._reserved = [states[indices] for states in self._reserved]
        self._show(tokens)


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

    def reserve(self, rows: torch.Tensor, room: int) -> None:
        """Go on with sequences from the prompts of these rows, with memory for so many more tokens each."""
        for index, layer in enumerate(self.cache.layers):
            if type(layer) is not DynamicLayer:
                raise PipelineError(
                    "This base model does not keep all it read (sliding window or another kind of memory), which "
                    "training here cannot sample from: choose a base model with full attention, like Qwen3."
                )
            self.cache.layers[index] = ReservedLayer(layer, rows, room)
        self.mask, self.logits = self.mask[rows], self.logits[rows]

    def select(self, rows: torch.Tensor) -> None:
        """Keep only some of the sequences."""
        self.cache.batch_select_indices(rows)
        self.mask = self.mask[rows]
        self.logits = self.logits[rows]


def prefill(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> Prefilled:
    """Run the model over prompts of token ids, padded on the left."""
    ids, mask = padded(prompts, model.device, "left")
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=True,
        # An index, not a count: the slice of a count is not contiguous, and its product would copy the head per prompt.
        logits_to_keep=torch.tensor([ids.shape[-1] - 1], device=model.device),
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
