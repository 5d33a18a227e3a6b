from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from grpo_pipeline.evaluation import models
from grpo_pipeline.evaluation.config import EvaluationRun
from grpo_pipeline.evaluation.divergence import divergences
from grpo_pipeline.evaluation.likelihood import CHUNK
from grpo_pipeline.evaluation.models import Loaded, Played, contenders
from grpo_pipeline.evaluation.sampling import SampledAnswer, sample_answers
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.loading import load_policy
from grpo_pipeline.training.prefill import prefill

PROMPTS = [[11, 12, 13, 14], [21, 22]]


@pytest.fixture
def policy(base: BaseModel, run: EvaluationRun) -> PeftModel:
    found = load_policy(base, run.candidate_adapter)
    assert isinstance(found, PeftModel)
    return found


@pytest.fixture(params=["merged", "beside its base"])
def played(
    base: BaseModel, run: EvaluationRun, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Played]:
    if request.param != "merged":
        monkeypatch.setattr(models, "can_merge", lambda _: False)
    players = contenders(run)
    with Loaded(base, players, "float32").play(players[-1]) as found:
        assert isinstance(found.model, PeftModel) == (request.param != "merged")
        assert found.moved
        yield found


def plain(policy: PeftModel, prompt: list[int], answer: SampledAnswer) -> float:
    """One sequence, both models in one forward pass each: the definition."""
    ids = torch.tensor([[*prompt, *answer.ids]])
    end = ids.shape[1] - answer.truncated
    own = policy(input_ids=ids).logits[0, len(prompt) - 1 : end].log_softmax(-1)
    with policy.disable_adapter():
        base = policy(input_ids=ids).logits[0, len(prompt) - 1 : end].log_softmax(-1)
    return float(torch.nn.functional.kl_div(base, own, log_target=True, reduction="sum"))


@torch.inference_mode()
def test_batched_divergences_are_those_of_single_sequences(policy: PeftModel, played: Played) -> None:
    answers = [
        SampledAnswer(tuple(range(30, 60)) * (CHUNK // 20), truncated=True, non_finite=False),
        SampledAnswer((40, 41, 42), truncated=False, non_finite=False),
    ]
    found = divergences(played, prefill(played.model, PROMPTS), PROMPTS, answers)
    for prompt, answer, moved in zip(PROMPTS, answers, found, strict=True):
        assert moved.nats == pytest.approx(plain(policy, prompt, answer), rel=1e-3)
        assert moved.nats > 0.1
    assert [moved.tokens for moved in found] == [30 * (CHUNK // 20), 4]


@torch.inference_mode()
def test_answers_that_end_at_once_are_one_token_long(policy: PeftModel, played: Played) -> None:
    empty = SampledAnswer((), truncated=False, non_finite=False)
    found = divergences(played, prefill(played.model, PROMPTS), PROMPTS, [empty, empty])
    assert [moved.tokens for moved in found] == [1, 1]
    assert found[0].nats == pytest.approx(plain(policy, PROMPTS[0], empty), rel=1e-3)


@torch.inference_mode()
def test_the_mean_divergence_is_the_mean_log_ratio_of_what_is_sampled(policy: PeftModel, played: Played) -> None:
    state = prefill(played.model, PROMPTS[:1])
    state.repeat(3000)
    sampled = sample_answers(played.model, state, end_tokens=[], max_new_tokens=2, temperature=1.0, seed=1)
    ids = torch.tensor([[*PROMPTS[0], *answer.ids] for answer in sampled])

    def log_probabilities() -> torch.Tensor:
        logits = policy(input_ids=ids).logits[:, len(PROMPTS[0]) - 1 : -1].log_softmax(-1)
        return logits.gather(-1, ids[:, len(PROMPTS[0]) :, None]).sum((1, 2))

    own = log_probabilities()
    with policy.disable_adapter():
        ratios = own - log_probabilities()
    first = prefill(played.model, PROMPTS[:1])
    first.repeat(200)
    moved = divergences(played, first, PROMPTS[:1] * 200, sampled[:200])
    mean = sum(item.nats for item in moved) / len(moved)
    error = float(ratios.std()) / 3000**0.5
    assert mean == pytest.approx(float(ratios.mean()), abs=5 * error + 0.02)


@torch.inference_mode()
def test_an_adapter_that_changes_nothing_has_not_moved(base: BaseModel, run: EvaluationRun, untouched: Path) -> None:
    players = contenders(run.model_copy(update={"candidate_adapter": untouched}))
    with Loaded(base, players, "float32").play(players[-1]) as played:
        answer = SampledAnswer((40, 41, 42), truncated=True, non_finite=False)
        found = divergences(played, prefill(played.model, PROMPTS[:1]), PROMPTS[:1], [answer])
    assert found[0].nats == pytest.approx(0.0, abs=1e-5)
