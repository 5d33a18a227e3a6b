"""Sampled answers, with the same chance for every model.

Every token is the one with the largest probability over an exponential draw, and the draws depend on the seed alone.
Two models that agree therefore draw the same answer, and what differs between their answers is theirs (common random
numbers; the coupling by exponential draws is that of the Gumbel-max trick).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from grpo_pipeline.training.prefill import Prefilled, extend, keeps_all
from grpo_pipeline.training.rollouts import GREEDY, moved_up


@dataclass(frozen=True)
class SampledAnswer:
    """Token ids without the end token; whether the length limit cut it, and whether a logit was not finite."""

    ids: tuple[int, ...]
    truncated: bool
    non_finite: bool


def sample_answers(
    model: PreTrainedModel,
    state: Prefilled,
    *,
    end_tokens: Collection[int],
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> list[SampledAnswer]:
    """One answer per sequence, in order.

    Args:
        state: one prompt per answer; it is used up.
        end_tokens: ids that end an answer.
        temperature: of sampling; `GREEDY` for the likeliest token.
        seed: of this batch; the same for every model.
    """
    total, vocabulary = state.logits.shape
    device = state.logits.device
    random = torch.Generator(device=device).manual_seed(seed)
    ends = torch.tensor(sorted(end_tokens), device=device)
    drawn = torch.full((total, max_new_tokens), -1, dtype=torch.long, device=device)
    ended = torch.zeros(total, dtype=torch.bool, device=device)
    broken = torch.zeros(total, dtype=torch.bool, device=device)
    rows = torch.arange(total, device=device)
    if keeps_all(state.cache):
        state.reserve(rows)
    for step in range(max_new_tokens):
        logits = state.logits.float()
        broken[rows] |= ~logits.amax(-1).isfinite()
        if temperature == GREEDY:
            tokens = logits.argmax(-1)
        else:
            # Drawn for every sequence, ended ones too: otherwise one model's ends would change the others' chances.
            noise = torch.empty(total, vocabulary, device=device).exponential_(generator=random)
            tokens = ((logits / temperature).softmax(-1) / noise[rows]).argmax(-1)
        drawn[rows, step] = tokens
        goes_on = ~torch.isin(tokens, ends)
        ended[rows] = ~goes_on
        kept = moved_up(goes_on)
        if len(kept) == 0 or step + 1 == max_new_tokens:
            break
        if len(kept) < len(rows):
            rows, tokens = rows[kept], tokens[kept]
            state.select(kept)
        extend(model, state, tokens.unsqueeze(-1), torch.ones_like(tokens).unsqueeze(-1))
    return [
        SampledAnswer(_without_end(ids, end_tokens), not bool(end), bool(bad))
        for ids, end, bad in zip(drawn.tolist(), ended.tolist(), broken.tolist(), strict=True)
    ]


def _without_end(ids: list[int], end_tokens: Collection[int]) -> tuple[int, ...]:
    return tuple(token for token in ids if token >= 0 and token not in end_tokens)
