"""How far a policy moved from its base model, on answers that it samples itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from grpo_pipeline.evaluation.likelihood import CHUNK
from grpo_pipeline.evaluation.models import Played
from grpo_pipeline.evaluation.sampling import SampledAnswer
from grpo_pipeline.training.padding import padded
from grpo_pipeline.training.prefill import Prefilled, extend, prefill


@dataclass(frozen=True)
class Divergence:
    """KL divergence of the policy from its base model along one answer, in nats, and the tokens it is summed over."""

    nats: float
    tokens: int


NOT_MOVED = Divergence(0.0, 1)


def divergences(
    played: Played, state: Prefilled, prompts: Sequence[Sequence[int]], answers: Sequence[SampledAnswer]
) -> list[Divergence]:
    """The divergence of a policy from the base model under its adapter, one per answer.

    The sum over the answer's tokens of the divergence between the two whole next-token distributions (at temperature
    1), its end token included: unbiased like the log-ratio of the sampled tokens, but with far less noise.

    Args:
        played: the policy.
        state: the prompts as the policy read them, one per answer; it is used up.
        prompts: the same in token ids.
        answers: what the policy sampled.
    """
    positions = [len(answer.ids) + (not answer.truncated) for answer in answers]
    with played.as_base() as base:
        reference = prefill(base, prompts)
    sums = _kl(state.logits.unsqueeze(1), reference.logits.unsqueeze(1), [min(1, count) for count in positions])
    ids, mask = padded([answer.ids for answer in answers], played.model.device)
    for start in range(0, ids.shape[-1], CHUNK):
        part, seen = ids[:, start : start + CHUNK], mask[:, start : start + CHUNK]
        own = extend(played.model, state, part, seen)
        with played.as_base() as base:
            theirs = extend(base, reference, part, seen)
        left = [max(0, min(CHUNK, count - 1 - start)) for count in positions]
        sums = [before + more for before, more in zip(sums, _kl(own, theirs, left), strict=True)]
    return [Divergence(nats, max(1, count)) for nats, count in zip(sums, positions, strict=True)]


def _kl(own: torch.Tensor, base: torch.Tensor, counts: Sequence[int]) -> list[float]:
    """The divergence summed over the first so many positions of every sequence; row by row, as logits are wide."""
    sums = []
    for row, other, count in zip(own, base, counts, strict=True):
        logs, references = row[:count].float().log_softmax(-1), other[:count].float().log_softmax(-1)
        sums.append(float((logs.exp() * (logs - references)).sum()))
    return sums
