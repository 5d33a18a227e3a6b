"""The likeliest answer to each prompt, in batches of like length on merged weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo_pipeline.training.prefill import Prefilled, extend, prefill


@dataclass(frozen=True)
class Question:
    """A prompt in token ids, and how long its answer may be."""

    id: str
    prompt: tuple[int, ...]
    max_new_tokens: int


@dataclass(frozen=True)
class Answer:
    """The text that a model answered with, and whether the length limit cut it."""

    id: str
    text: str
    cut: bool


def merged(model: PreTrainedModel | PeftModel, dtype: str) -> PreTrainedModel:
    """A model with its adapter added to its weights, which costs every token less; in float32 before it is rounded."""
    plain = model.merge_and_unload() if isinstance(model, PeftModel) else model
    return plain.to(getattr(torch, dtype)).eval()


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Every token that ends an answer."""
    stated = model.generation_config.eos_token_id if model.generation_config else None
    several = stated if isinstance(stated, list) else [stated]
    return {token for token in (*several, tokenizer.eos_token_id) if token is not None}


@torch.inference_mode()
def greedy_answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question], batch_size: int
) -> Iterator[list[Answer]]:
    """Batch by batch, the longest prompts first."""
    ends = end_tokens(model, tokenizer)
    ordered = sorted(questions, key=lambda item: (-item.max_new_tokens, -len(item.prompt), item.id))
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        state = prefill(model, [item.prompt for item in batch])
        found = _decode(model, state, ends, max(item.max_new_tokens for item in batch))
        kept = [_until_end(ids[: item.max_new_tokens], ends) for item, ids in zip(batch, found, strict=True)]
        texts = tokenizer.batch_decode([ids for ids, _ in kept], skip_special_tokens=True)
        yield [Answer(item.id, text, cut) for item, text, (_, cut) in zip(batch, texts, kept, strict=True)]


def _decode(model: PreTrainedModel, state: Prefilled, ends: Collection[int], longest: int) -> list[list[int]]:
    drawn: list[list[int]] = [[] for _ in range(len(state.logits))]
    rows = list(range(len(drawn)))
    for step in range(longest):
        tokens = state.logits.argmax(-1)
        listed = tokens.tolist()
        for row, token in zip(rows, listed, strict=True):
            drawn[row].append(token)
        kept = [place for place, token in enumerate(listed) if token not in ends]
        if not kept or step + 1 == longest:
            break
        if len(kept) < len(rows):
            places = torch.tensor(kept, device=tokens.device)
            rows, tokens = [rows[place] for place in kept], tokens[places]
            state.select(places)
        extend(model, state, tokens.unsqueeze(-1), torch.ones_like(tokens).unsqueeze(-1))
    return drawn


def _until_end(ids: list[int], ends: Collection[int]) -> tuple[list[int], bool]:
    place = next((place for place, token in enumerate(ids) if token in ends), None)
    return (ids, True) if place is None else (ids[:place], False)
