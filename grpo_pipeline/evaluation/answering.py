"""One answer to each prompt, the likeliest or a sampled one, in batches of like length on merged weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo_pipeline.training.loading import end_tokens
from grpo_pipeline.training.rollouts import sample_rollouts


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


def answered(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    batch_size: int,
    temperature: float,
) -> Iterator[list[Answer]]:
    """Batch by batch, the longest prompts first; above temperature 0 sampled with torch's generator."""
    ends = end_tokens(model, tokenizer)
    ordered = sorted(questions, key=lambda item: (-item.max_new_tokens, -len(item.prompt), item.id))
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        found = sample_rollouts(
            model,
            [item.prompt for item in batch],
            end_tokens=ends,
            max_new_tokens=max(item.max_new_tokens for item in batch),
            min_new_tokens=0,
            temperature=temperature,
        )
        kept = [_until_end(ids[: item.max_new_tokens], ends) for item, ids in zip(batch, found, strict=True)]
        texts = tokenizer.batch_decode([ids for ids, _ in kept], skip_special_tokens=True)
        yield [Answer(item.id, text, cut) for item, text, (_, cut) in zip(batch, texts, kept, strict=True)]


def _until_end(ids: list[int], ends: Collection[int]) -> tuple[list[int], bool]:
    place = next((place for place, token in enumerate(ids) if token in ends), None)
    return (ids, True) if place is None else (ids[:place], False)
