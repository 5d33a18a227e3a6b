"""How likely a model finds given answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from grpo_pipeline.training.padding import padded
from grpo_pipeline.training.prefill import Prefilled, extend

# Tokens of each answer scored at once; bounds the memory of the logits, which are as wide as the vocabulary.
CHUNK = 128


def log_probabilities(model: PreTrainedModel, state: Prefilled, answers: Sequence[Sequence[int]]) -> torch.Tensor:
    """The log-probability of every token of answers to prompts that were read, in float32.

    Args:
        state: one prompt per answer; it is used up.
        answers: token ids, at least one each.

    Returns:
        (answers, longest answer); 0 after an answer's end.
    """
    ids, mask = padded(answers, model.device)
    width = ids.shape[-1]
    parts = [_gather(state.logits.unsqueeze(1), ids[:, :1])]
    for start in range(0, width - 1, CHUNK):
        end = min(start + CHUNK, width - 1)
        logits = extend(model, state, ids[:, start:end], mask[:, start:end])
        parts.append(_gather(logits, ids[:, start + 1 : end + 1]))
    return torch.where(mask.bool(), torch.cat(parts, dim=1), 0.0).cpu()


def _gather(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    found = [
        row.float().log_softmax(-1).gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
        for row, wanted in zip(logits, ids, strict=True)
    ]
    return torch.stack(found)
