from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo_pipeline.evaluation.config import Sizes
from grpo_pipeline.evaluation.likelihood import CHUNK, log_probabilities
from grpo_pipeline.evaluation.measure import EncodedPair, batches, encode, measure
from grpo_pipeline.evaluation.models import Played
from grpo_pipeline.evaluation.pairs import read_pairs
from grpo_pipeline.evaluation.sampling import sample_answers
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.loading import load_policy, load_tokenizer
from grpo_pipeline.training.prefill import prefill
from grpo_pipeline.training.rollouts import GREEDY
from grpo_pipeline_tests.training.windowed import windowed_model

SIZES = Sizes(
    max_pairs=24,
    answers_per_prompt=2,
    kl_answers=1,
    regression_items=0,
    max_new_tokens=10,
    max_prompt_tokens=512,
    max_scored_tokens=256,
    batch_size=7,
    temperature=1.0,
    seed=0,
    dtype="float32",
)


@pytest.fixture(scope="module")
def model(base: BaseModel) -> PreTrainedModel:
    return load_policy(base)


@pytest.fixture(scope="module")
def tokenizer(base: BaseModel) -> PreTrainedTokenizerBase:
    return load_tokenizer(base)


@pytest.fixture(scope="module")
def encoded(tokenizer: PreTrainedTokenizerBase, held_out: Path) -> list[EncodedPair]:
    return [encode(tokenizer, pair, SIZES) for pair in read_pairs(held_out, 24)]


def plain_log_probabilities(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """One sequence in one forward pass: the definition."""
    ids = torch.tensor([[*prompt, *answer]])
    with torch.inference_mode():
        found = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None]).squeeze(-1)
    return found[len(prompt) - 1 :]


def test_batched_log_probabilities_are_those_of_single_sequences(
    model: PreTrainedModel, encoded: list[EncodedPair]
) -> None:
    batch = encoded[:9]
    with torch.inference_mode():
        found = log_probabilities(model, prefill(model, [item.prompt for item in batch]), [i.chosen for i in batch])
    for row, item in zip(found, batch, strict=True):
        expected = plain_log_probabilities(model, item.prompt, item.chosen)
        torch.testing.assert_close(row[: len(item.chosen)], expected, atol=1e-4, rtol=0)
        assert not row[len(item.chosen) :].any()


def test_answers_longer_than_one_chunk_are_scored_to_their_end(
    model: PreTrainedModel, encoded: list[EncodedPair]
) -> None:
    prompts = [encoded[0].prompt, encoded[1].prompt]
    answers = [list(range(40, 60)) * (CHUNK // 8), [70]]
    with torch.inference_mode():
        found = log_probabilities(model, prefill(model, prompts), answers)
    for row, prompt, answer in zip(found, prompts, answers, strict=True):
        expected = plain_log_probabilities(model, prompt, answer)
        torch.testing.assert_close(row[: len(answer)], expected, atol=1e-4, rtol=0)


def test_answers_at_a_temperature_near_zero_are_the_greedy_ones(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encoded: list[EncodedPair]
) -> None:
    prompts = [item.prompt for item in encoded[:5]]
    with torch.inference_mode():
        found = sample_answers(
            model,
            prefill(model, prompts),
            end_tokens={tokenizer.eos_token_id},
            max_new_tokens=10,
            temperature=1e-6,
            seed=3,
        )
        for prompt, answer in zip(prompts, found, strict=True):
            greedy = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=10)[0, len(prompt) :]
            assert list(answer.ids) == [token for token in greedy.tolist() if token != tokenizer.eos_token_id]


def test_tokens_are_drawn_as_often_as_the_model_says(model: PreTrainedModel, encoded: list[EncodedPair]) -> None:
    with torch.inference_mode():
        state = prefill(model, [encoded[0].prompt])
        expected = (state.logits[0] / 0.7).softmax(-1)
        state.repeat(20_000)
        drawn = sample_answers(model, state, end_tokens=[], max_new_tokens=1, temperature=0.7, seed=5)
    counts = torch.bincount(torch.tensor([answer.ids[0] for answer in drawn]), minlength=len(expected))
    likely = expected > 0.002
    deviation = (counts / len(drawn) - expected) / (expected / len(drawn)).sqrt()
    assert likely.any()
    assert deviation[likely].abs().max() < 4.5


def test_an_answer_that_ends_early_does_not_change_the_others(
    model: PreTrainedModel, encoded: list[EncodedPair]
) -> None:
    prompts = [item.prompt for item in encoded[:6]]

    def drawn(end_tokens: list[int]) -> list[tuple[int, ...]]:
        with torch.inference_mode():
            found = sample_answers(
                model, prefill(model, prompts), end_tokens=end_tokens, max_new_tokens=10, temperature=1.0, seed=2
            )
        assert [answer.truncated for answer in found] == [len(answer.ids) == 10 for answer in found]
        return [answer.ids for answer in found]

    full = drawn([])
    stop = full[2][3]
    for whole, cut in zip(full, drawn([stop]), strict=True):
        assert cut == (whole[: whole.index(stop)] if stop in whole else whole)


def test_models_that_forget_what_they_read_are_sampled_all_the_same() -> None:
    model, prompts = windowed_model(4), [[1, 2, 3, 4, 5, 6, 7], [8, 9, 10], [11, 12]]
    with torch.inference_mode():
        found = sample_answers(
            model, prefill(model, prompts), end_tokens=[0], max_new_tokens=8, temperature=GREEDY, seed=0
        )
        for prompt, answer in zip(prompts, found, strict=True):
            ids = [*prompt, *answer.ids]
            likeliest = model(input_ids=torch.tensor([ids])).logits[0].argmax(-1).tolist()
            assert likeliest[len(prompt) - 1 : -1] == list(answer.ids)


def test_measurements_do_not_depend_on_the_order_of_the_pairs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encoded: list[EncodedPair]
) -> None:
    once = [measure(Played(model), tokenizer, batch, SIZES) for batch in batches(encoded, 7)[:1]]
    again = [measure(Played(model), tokenizer, batch, SIZES) for batch in batches(encoded[::-1], 7)[:1]]
    assert once == again


def test_batches_hold_every_pair_once_with_the_longest_prompts_first(encoded: list[EncodedPair]) -> None:
    found = batches(encoded, 7)
    assert [len(batch) for batch in found] == [7, 7, 7, 3]
    lengths = [len(item.prompt) for batch in found for item in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert {item.pair.id for batch in found for item in batch} == {item.pair.id for item in encoded}


def test_a_long_answer_is_scored_up_to_the_limit(
    tokenizer: PreTrainedTokenizerBase, encoded: list[EncodedPair]
) -> None:
    cut = encode(tokenizer, encoded[0].pair, SIZES.model_copy(update={"max_scored_tokens": 5}))
    assert cut.chosen == encoded[0].chosen[:5]
    assert encoded[0].chosen[-1] == tokenizer.eos_token_id
