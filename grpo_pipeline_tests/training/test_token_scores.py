"""Log-probabilities of chosen tokens, chunk by chunk: those of the whole, with the same gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from grpo_pipeline.training.packed import PackedLinear
from grpo_pipeline.training.token_scores import HEAD_CHUNK, chosen_log_probs

STATES, SIZE, VOCABULARY, TEMPERATURE = 2 * HEAD_CHUNK + 7, 24, 90, 0.7


@pytest.mark.parametrize("is_packed", [True, False])
def test_chunks_give_the_numbers_and_the_gradient_of_the_whole(is_packed: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(SIZE, VOCABULARY, bias=False).requires_grad_(False)
    hidden = torch.randn(STATES, SIZE, requires_grad=True)
    targets, weights = torch.randint(0, VOCABULARY, (STATES,)), torch.randn(STATES)
    head = PackedLinear(linear) if is_packed else linear
    log_probs, entropies = chosen_log_probs(hidden, head, targets, TEMPERATURE)
    (log_probs * weights).sum().backward()
    found, hidden.grad = hidden.grad, None

    every = (linear(hidden) / TEMPERATURE).log_softmax(-1)
    expected = every.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    (expected * weights).sum().backward()
    torch.testing.assert_close(log_probs, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(entropies, -(every.exp() * every).sum(-1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, hidden.grad, rtol=1e-4, atol=1e-5)
