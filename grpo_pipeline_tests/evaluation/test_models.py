"""Contenders on one base: each plays as itself, whichever played before."""

from __future__ import annotations

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
from grpo_pipeline_tests.evaluation.conftest import make_adapter

IDS = torch.tensor([[11, 12, 13, 14]])


@torch.inference_mode()
def logits(model: PreTrainedModel | PeftModel) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=IDS).logits
    return found


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
    assert len({float(found.sum()) for found in expected.values()}) == len(players) == 3
    for player in (*players, *players[::-1]):
        with loaded.play(player) as played:
            torch.testing.assert_close(logits(played.model), expected[player.name], rtol=1e-4, atol=1e-4)
            assert played.moved == (player.adapter is not None)
            with played.as_base() as alone:
                torch.testing.assert_close(logits(alone), expected[BASE], rtol=1e-4, atol=1e-4)


def test_in_bfloat16_an_adapter_stays_beside_its_base_and_is_not_rounded(base: BaseModel, run: EvaluationRun) -> None:
    players = contenders(run)
    with Loaded(base, players, "bfloat16").play(players[-1]) as played:
        assert isinstance(played.model, PeftModel)


def test_a_base_model_plays_alone(base: BaseModel) -> None:
    player = Contender(BASE, base, None)
    with Loaded(base, [player], "float32").play(player) as played:
        torch.testing.assert_close(logits(played.model), logits(load_policy(base)), rtol=1e-4, atol=1e-4)
        assert not played.moved
