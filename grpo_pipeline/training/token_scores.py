"""How likely a model finds the tokens of answers, with each prompt read once however many answers it has.

What it buys: TRL runs prompt and answer through the model anew for every answer, and on a CPU scores every position of
both. With P prompt and C answer tokens and G answers, the model reads P + G C tokens here instead of G (P + C), and the
LM head G C. The gradient is that of the same function, as the prompt's keys and values are part of the graph
(the idea of https://arxiv.org/abs/2506.05433). Corrections have a prompt each, of which the beginnings may be alike
(`shared_beginnings`).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel

from grpo_pipeline.training.packed import FEW_ROWS
from grpo_pipeline.training.padding import padded
from grpo_pipeline.training.prefill import keeps_all
from grpo_pipeline.training.shared_beginnings import shared_beginnings, worth_sharing

# Rows of logits held at once: so many are the most that a weight laid out for few rows is good for (`packed`).
HEAD_CHUNK = FEW_ROWS
# What follows a beginning is short and unequal: a CPU reads it in parts of about so many tokens, like lengths together.
# Padded as a whole, 16 rows of 1,292 tokens become 2,244, and larger products were no faster.
CPU_TOKENS = 384
# Where padding adds no more than this share, it is read as a whole.
LITTLE_PADDING = 0.1


class _ChosenLogProbs(torch.autograd.Function):
    """Log-probability and entropy of each position's next token, the logits never being held as a whole.

    The gradient with respect to a position's hidden state is a vector times the incoming number, so the vector is
    computed on the way forward, where the logits are at hand. Entropy is for watching and has no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        hidden: torch.Tensor,
        head: nn.Module,
        targets: torch.Tensor,
        temperature: float,
        with_gradient: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        log_probs, entropies, directions = [], [], []
        weight = head.get_parameter("weight")
        # Written over by each chunk: a CPU is slow in memory that is new. The difference below took 29 ms for 64 rows
        # there, and takes 11 ms for 128 in place.
        held = weight.new_empty(min(HEAD_CHUNK, len(hidden)), len(weight), dtype=torch.float32)
        for rows, wanted in zip(hidden.split(HEAD_CHUNK), targets.split(HEAD_CHUNK), strict=True):
            all_log_probs = head(rows).float().div_(temperature)
            all_log_probs.sub_(all_log_probs.logsumexp(-1, keepdim=True))
            probabilities = torch.exp(all_log_probs, out=held[: len(rows)])
            log_probs.append(all_log_probs.gather(-1, wanted.unsqueeze(-1)).squeeze(-1))
            entropies.append(-torch.bmm(probabilities.unsqueeze(1), all_log_probs.unsqueeze(2)).flatten())
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
    hidden: torch.Tensor, head: nn.Module, targets: torch.Tensor, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy of the target after each hidden state, both (states,) in float32.

    Args:
        hidden: (states, hidden size) of the positions before the targets.
        head: the frozen layer from hidden states to the vocabulary's logits, without bias.
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

    def rows(self, numbers: torch.Tensor) -> PromptedAnswers:
        """Some of the answers, by their row numbers."""
        return PromptedAnswers(*(getattr(self, field.name)[numbers] for field in fields(self)))

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


class _Read:
    """Beginnings that were read once, padded on the left, from each of which several sequences go on."""

    def __init__(self, model: PreTrainedModel, tokens: torch.Tensor, mask: torch.Tensor) -> None:
        self._decoder, self._mask = model.get_decoder(), mask
        self._cache = DynamicCache(config=model.config)
        states = self._decoder(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        self.last: torch.Tensor = states[:, -1:]
        """Hidden states after each beginning, (beginnings, 1, hidden size)."""

    def go_on(self, group_of: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states after every further token, (sequences, tokens, hidden size).

        Args:
            group_of: (sequences,) the beginning that each goes on from.
            tokens: (sequences, tokens), padded on the right.
            mask: 1 where there is a token.
        """
        cache = copy(self._cache)
        cache.layers = [copy(layer) for layer in self._cache.layers]
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys.index_select(0, group_of), layer.values.index_select(0, group_of)
        before = self._mask.index_select(0, group_of)
        steps = torch.arange(tokens.shape[1], device=mask.device)
        states: torch.Tensor = self._decoder(
            input_ids=tokens,
            attention_mask=torch.cat([before, mask], dim=1),
            position_ids=before.sum(-1, keepdim=True) + steps,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return states


def score_answers(
    model: PreTrainedModel, given: PromptedAnswers, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy of every answer token, both (answers, longest answer) in float32, 0 at padding."""
    kept = given.trimmed()
    prompts, group_of = torch.unique_consecutive(
        torch.where(kept.prompt_mask.bool(), kept.prompts, -1), dim=0, return_inverse=True
    )
    read = _Read(model, prompts.clamp(min=0), (prompts >= 0).long())
    parts = _parts(kept.answer_mask.sum(-1).tolist(), kept.answers.device)
    found = []
    for numbers in parts:
        rows = torch.tensor(numbers, device=group_of.device)
        found.append(_score_part(model, read, kept.rows(rows).trimmed(), group_of[rows], temperature))
    order = torch.tensor([number for numbers in parts for number in numbers], device=group_of.device).argsort()
    width = given.answers.shape[1]
    log_probs, entropies = (
        torch.cat([nn.functional.pad(part, (0, width - part.shape[1])) for part in parts_of]).index_select(0, order)
        for parts_of in zip(*found, strict=True)
    )
    return log_probs, entropies


def _score_part(
    model: PreTrainedModel, read: _Read, part: PromptedAnswers, group_of: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    hidden = read.last.index_select(0, group_of)
    if part.answers.shape[1] > 1:
        written = read.go_on(group_of, part.answers[:, :-1], part.answer_mask[:, :-1])
        hidden = torch.cat([hidden, written], dim=1)
    head, wanted = model.get_output_embeddings(), part.answer_mask.bool()
    log_probs, entropies = chosen_log_probs(hidden[wanted], head, part.answers[wanted], temperature)
    empty = torch.zeros(wanted.shape, device=wanted.device, dtype=torch.float32)
    return empty.masked_scatter(wanted, log_probs), empty.masked_scatter(wanted, entropies)


def _parts(lengths: Sequence[int], device: torch.device) -> list[list[int]]:
    """Row numbers of what is read at once: on a CPU rows of like length, on a GPU all of them."""
    rows = list(range(len(lengths)))
    if device.type != "cpu" or len(lengths) * max(lengths) <= (1 + LITTLE_PADDING) * sum(lengths):
        return [rows]
    parts: list[list[int]] = [[]]
    for row in sorted(rows, key=lengths.__getitem__):
        if (len(parts[-1]) + 1) * lengths[row] > CPU_TOKENS and parts[-1]:
            parts.append([])
        parts[-1].append(row)
    return parts


class _Rest(NamedTuple):
    """What follows a beginning."""

    group: int
    tokens: list[int]
    labels: list[int]


def score_labels(
    model: PreTrainedModel, tokens: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor, ignored: int
) -> torch.Tensor:
    """Log-probabilities of the labelled tokens of whole sequences, in one dimension and float32, in any order.

    Args:
        tokens: (sequences, tokens), padded anywhere; what sequences begin alike with is read once.
        mask: 1 where a token is read.
        labels: the tokens themselves where they are scored, else `ignored`.
    """
    sequences, wanted = _without_padding(tokens, mask), _without_padding(labels, mask)
    # The token before the first label is left to the rest, which then gives every state that is scored.
    limits = [max(0, next((place for place, label in enumerate(row) if label != ignored), 0) - 1) for row in wanted]
    beginnings = shared_beginnings(sequences, limits)
    if not worth_sharing(sequences, beginnings) or not keeps_all(DynamicCache(config=model.config)):
        states = model.get_decoder()(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        return _labelled_log_probs(model, states, labels, ignored)
    device = tokens.device
    read = _Read(model, *padded([beginning.tokens for beginning in beginnings], device, "left"))
    rests = [
        _Rest(group, sequences[number][len(beginning.tokens) :], wanted[number][len(beginning.tokens) :])
        for group, beginning in enumerate(beginnings)
        for number in beginning.members
    ]
    found = []
    for numbers in _parts([len(rest.tokens) for rest in rests], device):
        rows = [rests[number] for number in numbers]
        group_of = torch.tensor([row.group for row in rows], device=device)
        states = read.go_on(group_of, *padded([row.tokens for row in rows], device))
        found.append(
            _labelled_log_probs(model, states, padded([row.labels for row in rows], device, filler=ignored)[0], ignored)
        )
    return torch.cat(found)


def _without_padding(rows: torch.Tensor, mask: torch.Tensor) -> list[list[int]]:
    return [row[kept].tolist() for row, kept in zip(rows.cpu(), mask.bool().cpu(), strict=True)]


def _labelled_log_probs(
    model: PreTrainedModel, states: torch.Tensor, labels: torch.Tensor, ignored: int
) -> torch.Tensor:
    wanted = labels[:, 1:] != ignored
    log_probs, _ = chosen_log_probs(states[:, :-1][wanted], model.get_output_embeddings(), labels[:, 1:][wanted])
    return log_probs
