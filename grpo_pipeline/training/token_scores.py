"""How likely a model finds the tokens of answers, with each prompt read once however many answers it has.

What it buys: TRL runs prompt and answer through the model anew for every answer, and on a CPU scores every position of
both. With P prompt and C answer tokens and G answers, the model reads P + G C tokens here instead of G (P + C), and the
LM head G C. The gradient is that of the same function, as the prompt's keys and values are part of the graph
(the idea of https://arxiv.org/abs/2506.05433).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel

# Rows of logits held at once: with a vocabulary of 50,000 they stay in a CPU's last cache.
HEAD_CHUNK = 64


class _ChosenLogProbs(torch.autograd.Function):
    """Log-probability and entropy of each position's next token, the logits never being held as a whole.

    The gradient with respect to a position's hidden state is a vector times the incoming number, so the vector is
    computed on the way forward, where the logits are at hand. Entropy is for watching and has no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        temperature: float,
        with_gradient: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        log_probs, entropies, directions = [], [], []
        for rows, wanted in zip(hidden.split(HEAD_CHUNK), targets.split(HEAD_CHUNK), strict=True):
            logits = (rows @ weight.t()).float().div_(temperature)
            chosen = logits.gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
            normalizer = logits.logsumexp(-1)
            probabilities = (logits - normalizer.unsqueeze(-1)).exp_()
            log_probs.append(chosen - normalizer)
            entropies.append(normalizer - torch.linalg.vecdot(probabilities, logits))
            if with_gradient:
                expected = probabilities.to(weight.dtype) @ weight
                directions.append((weight[wanted].float() - expected.float()).div_(temperature).to(hidden.dtype))
        if with_gradient:
            ctx.save_for_backward(torch.cat(directions))
        found = torch.cat(log_probs), torch.cat(entropies)
        ctx.mark_non_differentiable(found[1])
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:  # noqa: ANN401
        (directions,) = ctx.saved_tensors
        return (grads[0].unsqueeze(-1) * directions).to(directions.dtype), None, None, None, None


def chosen_log_probs(
    hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy of the target after each hidden state, both (states,) in float32.

    Args:
        hidden: (states, hidden size) of the positions before the targets.
        head: (vocabulary, hidden size).
        targets: (states,) token ids.
        temperature: what logits are divided by.
    """
    with_gradient = torch.is_grad_enabled() and hidden.requires_grad
    found: tuple[torch.Tensor, torch.Tensor] = _ChosenLogProbs.apply(hidden, head, targets, temperature, with_gradient)
    return found


@dataclass(frozen=True)
class PromptedAnswers:
    """Answers beside their prompts in token ids.

    prompts and prompt_mask are (answers, longest prompt), padded on the left; answers and answer_mask are
    (answers, longest answer), padded on the right. Answers to one prompt stand next to each other.
    """

    prompts: torch.Tensor
    prompt_mask: torch.Tensor
    answers: torch.Tensor
    answer_mask: torch.Tensor

    def trimmed(self) -> PromptedAnswers:
        """The same without columns that are padding in every row."""
        first = int(self.prompt_mask.any(0).int().argmax())
        longest = max(1, int(self.answer_mask.sum(-1).max()))
        return PromptedAnswers(
            self.prompts[:, first:],
            self.prompt_mask[:, first:],
            self.answers[:, :longest],
            self.answer_mask[:, :longest],
        )


def score_answers(
    model: PreTrainedModel, given: PromptedAnswers, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy of every answer token, both (answers, longest answer) in float32, 0 at padding."""
    kept = given.trimmed()
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    prompts, group_of = torch.unique_consecutive(
        torch.where(kept.prompt_mask.bool(), kept.prompts, -1), dim=0, return_inverse=True
    )
    prompt_mask = (prompts >= 0).long()
    cache = DynamicCache(config=model.config)
    read = decoder(
        input_ids=prompts.clamp(min=0),
        attention_mask=prompt_mask,
        position_ids=(prompt_mask.cumsum(-1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    hidden = read[:, -1:].index_select(0, group_of)
    if kept.answers.shape[1] > 1:
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys.index_select(0, group_of), layer.values.index_select(0, group_of)
        mask = torch.cat([kept.prompt_mask, kept.answer_mask[:, :-1]], dim=1)
        lengths = kept.prompt_mask.sum(-1, keepdim=True)
        steps = torch.arange(kept.answers.shape[1] - 1, device=mask.device)
        written = decoder(
            input_ids=kept.answers[:, :-1],
            attention_mask=mask,
            position_ids=lengths + steps,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        hidden = torch.cat([hidden, written], dim=1)
    wanted = kept.answer_mask.bool()
    log_probs, entropies = chosen_log_probs(hidden[wanted], head.weight, kept.answers[wanted], temperature)
    empty = torch.zeros(given.answers.shape, device=wanted.device, dtype=torch.float32)
    place = nn.functional.pad(wanted, (0, given.answers.shape[1] - wanted.shape[1]))
    return empty.masked_scatter(place, log_probs), empty.masked_scatter(place, entropies)


def score_labels(
    model: PreTrainedModel, tokens: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor, ignored: int
) -> torch.Tensor:
    """Log-probabilities of the labelled tokens of whole sequences, in one dimension and float32.

    Args:
        tokens: (sequences, tokens), padded anywhere.
        mask: 1 where a token is read.
        labels: the tokens themselves where they are scored, else `ignored`.
    """
    hidden = model.get_decoder()(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
    wanted = labels[:, 1:] != ignored
    log_probs, _ = chosen_log_probs(hidden[:, :-1][wanted], model.get_output_embeddings().weight, labels[:, 1:][wanted])
    return log_probs
