"""The merged twin: what it computes, what it leaves alone, and how it samples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, get_peft_model

from grpo_pipeline.training.base_model import BaseModel, locate_base_model
from grpo_pipeline.training.loading import load_policy, load_tokenizer
from grpo_pipeline.training.merged import MergedPolicy, can_merge
from grpo_pipeline.training.policy import Policy, fresh_policy
from grpo_pipeline.training.prefill import RESERVED, extend, prefill
from grpo_pipeline.training.profiles import Hardware, resolve
from grpo_pipeline.training.rollouts import draw, moved_up, sample_rollouts
from grpo_pipeline.training.settings import TrainingSettings

CYCLES = 200


@pytest.fixture(scope="module")
def base(home: Path) -> BaseModel:
    return locate_base_model("tiny-qwen3", home)


@pytest.fixture
def policy(base: BaseModel) -> PeftModel:
    model = fresh_policy(Policy(base, resolve(TrainingSettings(profile="tiny"), Hardware(0, cpu_bf16=False))))
    for parameter in model.parameters():
        # As base models are stored: single tokens go through weights in float16, which holds these numbers too.
        parameter.data.copy_(parameter.data.bfloat16())
    change(model, seed=1)
    return model


def change(model: PeftModel, seed: int) -> None:
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)


def test_the_twin_answers_as_the_policy_with_its_adapter(policy: PeftModel, base: BaseModel) -> None:
    assert can_merge(policy)
    tokens = load_tokenizer(base)(["Question 1?"], return_tensors="pt")
    twin = MergedPolicy(policy).refresh()
    with torch.no_grad():
        torch.testing.assert_close(twin(**tokens).logits, policy(**tokens).logits, rtol=1e-4, atol=1e-4)
        with policy.disable_adapter():
            assert not torch.allclose(twin(**tokens).logits, policy(**tokens).logits, atol=1e-2)


@pytest.mark.parametrize(
    "adapter",
    [
        IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
        LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"]),
        LoraConfig(target_modules=["q_proj"], lora_dropout=0.1),
        LoraConfig(target_modules=["q_proj"], use_dora=True),
    ],
    ids=["no LoRA", "a whole layer", "dropout", "DoRA"],
)
def test_other_adapters_are_not_merged(base: BaseModel, adapter: PeftConfig) -> None:
    model = get_peft_model(load_policy(base), adapter)
    assert isinstance(model, PeftModel)
    assert not can_merge(model)


def test_the_twins_weights_are_those_of_a_merged_model(policy: PeftModel) -> None:
    merged = MergedPolicy(policy)
    merged.refresh()
    exported = dict(merged.named_weights())
    expected = dict(policy.merge_and_unload().named_parameters())
    assert exported.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(exported[name], weight.data, rtol=0, atol=1e-6, msg=name)


def test_the_base_stays_as_it_is_to_the_bit(policy: PeftModel) -> None:
    policy.get_base_model().to(torch.bfloat16)
    frozen = {name: weight.clone() for name, weight in policy.named_parameters() if "lora" not in name}
    merged = MergedPolicy(policy)
    for cycle in range(CYCLES):
        change(policy, cycle)
        merged.outdate()
        merged.current()
    for name, weight in policy.named_parameters():
        if "lora" not in name:
            assert torch.equal(weight, frozen[name]), name


def test_the_twin_follows_the_adapter_once_it_is_told_of_a_change(policy: PeftModel) -> None:
    merged = MergedPolicy(policy)
    before = {name: weight.clone() for name, weight in merged.refresh().named_parameters() if "q_proj" in name}
    assert before
    change(policy, 2)
    merged.outdate()
    after = dict(merged.current().named_parameters())
    assert all(not torch.equal(after[name], weight) for name, weight in before.items())


def test_draws_have_the_chances_they_should() -> None:
    torch.manual_seed(0)
    chances = torch.tensor([0.5, 0.0, 0.3, 0.2])
    draws = draw(chances.expand(20_000, -1), torch.arange(20_000))
    shares = torch.bincount(draws, minlength=4) / len(draws)
    assert shares[1] == 0
    torch.testing.assert_close(shares, chances, rtol=0, atol=0.015)


def test_what_the_twin_writes_in_bfloat16_follows_the_adapter(policy: PeftModel) -> None:
    policy.get_base_model().to(torch.bfloat16)
    merged, token, earlier = MergedPolicy(policy), torch.tensor([[5]]), None
    for seed in (2, 3):
        change(policy, seed)
        merged.outdate()
        with torch.no_grad():
            found, expected = merged.current()(token).logits, policy(token).logits
            # The rounding of bfloat16, far less than what the adapter changes.
            assert float((found - expected).abs().max()) < 0.15
        assert earlier is None or float((found - earlier).abs().max()) > 0.3
        earlier = found


def test_answers_are_drawn_alike_from_one_state_and_end_where_they_ended(policy: PeftModel, base: BaseModel) -> None:
    tokenizer = load_tokenizer(base)
    prompts = [tokenizer(text)["input_ids"] for text in ("Question 1?", "Why is that so?") for _ in range(8)]
    twin = MergedPolicy(policy).refresh()
    ends = set(range(0, len(tokenizer), 16))
    answers = []
    for _ in range(2):
        torch.manual_seed(7)
        answers.append(
            sample_rollouts(twin, prompts, end_tokens=ends, max_new_tokens=12, min_new_tokens=2, temperature=1.0)
        )
    assert answers[0] == answers[1]
    lengths = {len(answer) for answer in answers[0]}
    assert len(lengths) > 2
    for answer in answers[0]:
        assert 2 < len(answer) <= 12
        assert not ends & set(answer[:-1])
        assert answer[-1] in ends or len(answer) == 12


def test_a_reserved_cache_gives_the_logits_of_whole_sequences(policy: PeftModel, base: BaseModel) -> None:
    """Also where memory has to be reserved again, and where sequences changed their places."""
    tokenizer = load_tokenizer(base)
    prompts = [tokenizer(text)["input_ids"] for text in ("Question 1?", "Why?")]
    twin = MergedPolicy(policy).refresh()
    torch.manual_seed(0)
    answers = torch.randint(0, 250, (4, 2 * RESERVED + 3))
    of = torch.tensor([0, 1, 1, 0])
    with torch.no_grad():
        state = prefill(twin, prompts)
        state.reserve(of)
        for step in range(answers.shape[1]):
            extend(twin, state, answers[:, step : step + 1], torch.ones(len(answers), 1, dtype=torch.long))
            if step == 1:
                kept = moved_up(torch.tensor([False, True, True, True]))
                state.select(kept)
                answers, of = answers[kept], of[kept]
        for row in range(3):
            whole = torch.tensor([prompts[int(of[row])] + answers[row].tolist()])
            expected = policy(input_ids=whole).logits[0, -1]
            torch.testing.assert_close(state.logits[row], expected, rtol=1e-3, atol=1e-3)


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_rows_that_go_on_are_moved_up_and_few_of_them(goes_on: list[bool]) -> None:
    kept = moved_up(torch.tensor(goes_on)).tolist()
    assert sorted(kept) == [row for row, on in enumerate(goes_on) if on]
    assert all(place == row or not goes_on[place] for place, row in enumerate(kept))
