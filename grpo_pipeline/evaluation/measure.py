"""One model on all held-out pairs: batch by batch, the longest first."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.config import Sizes
from grpo_pipeline.evaluation.divergence import NOT_MOVED, Divergence, divergences
from grpo_pipeline.evaluation.likelihood import log_probabilities
from grpo_pipeline.evaluation.models import Played
from grpo_pipeline.evaluation.pairs import HeldOutPair
from grpo_pipeline.evaluation.sampling import SampledAnswer, sample_answers
from grpo_pipeline.evaluation.scoring import Measured, length_normalized
from grpo_pipeline.training.loading import end_tokens, render_prompt
from grpo_pipeline.training.prefill import Prefilled, prefill


@dataclass(frozen=True)
class EncodedPair:
    """A pair in token ids; the answers end with the end token unless they were cut."""

    pair: HeldOutPair
    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    def cost(self, sizes: Sizes) -> int:
        """Tokens that the model reads or writes for it."""
        read = len(self.prompt) + len(self.chosen) + len(self.rejected)
        return read + sizes.answers_per_prompt * sizes.max_new_tokens


def encode(tokenizer: PreTrainedTokenizerBase, pair: HeldOutPair, sizes: Sizes) -> EncodedPair:
    """A held-out pair as the model reads it."""

    def answer(text: str) -> tuple[int, ...]:
        ids = tokenizer(text + str(tokenizer.eos_token), add_special_tokens=False)["input_ids"]
        return tuple(ids[: sizes.max_scored_tokens])

    prompt = tokenizer(render_prompt(tokenizer, pair.prompt, pair.tools))["input_ids"]
    return EncodedPair(pair, tuple(prompt), answer(pair.chosen), answer(pair.rejected))


def batches(pairs: Sequence[EncodedPair], size: int) -> list[list[EncodedPair]]:
    """The pairs in batches of similar length, the longest first, so that memory runs out at once or never."""
    ordered = sorted(pairs, key=lambda item: (-len(item.prompt), -len(item.chosen) - len(item.rejected), item.pair.id))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


@torch.inference_mode()
def measure(
    played: Played, tokenizer: PreTrainedTokenizerBase, batch: Sequence[EncodedPair], sizes: Sizes
) -> list[Measured]:
    """Score and answer one batch of pairs; the same batch and model give the same numbers.

    Raises:
        PipelineError: the batch does not fit in memory.
    """
    model = played.model
    try:
        state = prefill(model, [item.prompt for item in batch])
        chosen, rejected = _score(model, copy.deepcopy(state), batch)
        policy_state = copy.deepcopy(state)
        state.repeat(sizes.answers_per_prompt)
        sampled = sample_answers(
            model,
            state,
            end_tokens=end_tokens(model, tokenizer),
            max_new_tokens=sizes.max_new_tokens,
            temperature=sizes.temperature,
            seed=_seed(batch, sizes.seed),
        )
        moved = _divergences(played, policy_state, batch, sampled, sizes)
    except torch.OutOfMemoryError as error:
        raise PipelineError(
            f"The GPU's memory does not hold {len(batch)} pairs at once: lower GRPO_EVALUATION__BATCH_SIZE."
        ) from error
    texts = tokenizer.batch_decode([list(answer.ids) for answer in sampled], skip_special_tokens=True)
    found = []
    for index, item in enumerate(batch):
        own = slice(index * sizes.answers_per_prompt, (index + 1) * sizes.answers_per_prompt)
        values = [*chosen[index], *rejected[index]]
        broken = int((~torch.tensor(values).isfinite()).sum()) + sum(answer.non_finite for answer in sampled[own])
        found.append(
            Measured(
                item.pair,
                length_normalized(chosen[index]),
                length_normalized(rejected[index]),
                broken,
                tuple(texts[own]),
                tuple(answer.truncated for answer in sampled[own]),
                tuple(len(answer.ids) for answer in sampled[own]),
                tuple(moved[index]),
            )
        )
    return found


def _score(
    model: PreTrainedModel, state: Prefilled, batch: Sequence[EncodedPair]
) -> tuple[list[list[float]], list[list[float]]]:
    state.repeat(2)
    answers = [ids for item in batch for ids in (item.chosen, item.rejected)]
    found = log_probabilities(model, state, answers).tolist()
    cut = [values[: len(answer)] for values, answer in zip(found, answers, strict=True)]
    return cut[0::2], cut[1::2]


def _divergences(
    played: Played,
    state: Prefilled,
    batch: Sequence[EncodedPair],
    sampled: Sequence[SampledAnswer],
    sizes: Sizes,
) -> list[list[Divergence]]:
    """Along the first answers to every prompt; the base model itself did not move."""
    each = min(sizes.kl_answers, sizes.answers_per_prompt)
    if not each or not played.moved:
        return [[NOT_MOVED] * each for _ in batch]
    first = [index * sizes.answers_per_prompt + sample for index in range(len(batch)) for sample in range(each)]
    state.repeat(each)
    prompts = [item.prompt for item in batch for _ in range(each)]
    found = divergences(played, state, prompts, [sampled[index] for index in first])
    return [found[start : start + each] for start in range(0, len(found), each)]


def _seed(batch: Sequence[EncodedPair], seed: int) -> int:
    """A seed of the batch's own, the same for every model."""
    ids = ",".join(item.pair.id for item in batch)
    return int.from_bytes(hashlib.sha256(f"{seed}:{ids}".encode()).digest()[:7])


def measure_all(
    played: Played, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[EncodedPair], sizes: Sizes
) -> Iterator[tuple[list[Measured], int]]:
    """Every batch's measurements, each with its cost in tokens."""
    for batch in batches(pairs, sizes.batch_size):
        yield measure(played, tokenizer, batch, sizes), sum(item.cost(sizes) for item in batch)
