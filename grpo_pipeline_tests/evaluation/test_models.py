"""Contenders on one base: each plays as itself, whichever played before."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from grpo_pipeline.evaluation import models
from grpo_pipeline.evaluation.config import EvaluationRun
from grpo_pipeline.evaluation.models import Contender, Loaded, contenders
from grpo_pipeline.gates.metrics import BASE
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.loading import load_policy
from grpo_pipeline.training.prefill import extend, prefill
from grpo_pipeline_tests.evaluation.conftest import make_adapter

# This base is stored in float32, so products in float16 round it.
TOLERANCE = 5e-3
PROMPT, TOKEN = [11, 12, 13, 14], torch.tensor([[15]])


@torch.inference_mode()
def logits(model: PreTrainedModel | PeftModel) -> torch.Tensor:
    """After a prompt, and after one more token, which goes its own way through a model that samples fast."""
    state = prefill(model, [PROMPT])
    return torch.cat([state.logits, extend(model, state, TOKEN, torch.ones_like(TOKEN))[:, -1]])


@pytest.mark.parametrize("merged", [True, False])
def test_each_contender_plays_as_itself(
    base: BaseModel, run: EvaluationRun, tmp_path: Path, merged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not merged:
        monkeypatch.setattr(models, "can_merge", lambda _: False)
    incumbent = make_adapter(base, tmp_path / "incumbent", steps=5)
    players = contenders(run.model_copy(update={"incumbent_adapter": incumbent}))
    loaded = Loaded(base, players, "float32")
    expected = {player.name: logits(load_policy(base, player.adapter)) for player in players}
    for one, other in combinations(expected.values(), 2):
        assert (one - other).abs().amax(-1).min() > 10 * TOLERANCE
    for player in (*players, *players[::-1]):
        with loaded.play(player) as played:
            torch.testing.assert_close(logits(played.model), expected[player.name], rtol=0, atol=TOLERANCE)
            assert played.moved == (player.adapter is not None)
            with played.as_base() as alone:
                torch.testing.assert_close(logits(alone), expected[BASE], rtol=0, atol=TOLERANCE)


def test_in_bfloat16_an_adapter_stays_beside_its_base_and_is_not_rounded(base: BaseModel, run: EvaluationRun) -> None:
    players = contenders(run)
    with Loaded(base, players, "bfloat16").play(players[-1]) as played:
        assert isinstance(played.model, PeftModel)


def test_a_base_model_plays_alone(base: BaseModel) -> None:
    player = Contender(BASE, base, None)
    with Loaded(base, [player], "float32").play(player) as played:
        torch.testing.assert_close(logits(played.model), logits(load_policy(base)), rtol=0, atol=TOLERANCE)
        assert not played.moved
