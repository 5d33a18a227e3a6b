from __future__ import annotations

import json

import polars as pl
import pytest
import torch

from grpo_pipeline.evaluation.config import EvaluationRun, resolve_sizes
from grpo_pipeline.evaluation.probing import answer_probes
from grpo_pipeline.evaluation.regression.suite import ANSWER_TOKENS, APART, FAMILIES
from grpo_pipeline.evaluation.run import evaluate
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.gates.metrics import PROBES
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.loading import load_policy, load_tokenizer, render_prompt
from grpo_pipeline.training.profiles import Hardware
from grpo_pipeline_tests.evaluation.test_run import Recorder

CPU = Hardware(gpus=0, cpu_bf16=False)


def test_probes_are_answered_greedily_and_scored_by_their_own_checks(base: BaseModel) -> None:
    model, tokenizer = load_policy(base), load_tokenizer(base)
    sizes = resolve_sizes(EvaluationSettings(regression_items=3), CPU)
    found = answer_probes(model, tokenizer, sizes, {tokenizer.eos_token_id})
    families = [*FAMILIES, *APART.values()]
    assert sorted(item.name for item in found) == sorted(
        f"{name}/{place:02d}" for name in families for place in range(3)
    )
    assert all(0.0 <= item.score <= 1.0 for item in found)
    shared = {free: family for family, free in APART.items()}
    for item in found:
        if item.answer is None:
            continue
        family = shared.get(item.family, item.family)
        probe = FAMILIES[family][item.place]
        if probe.right is None or family == "probe_general":
            assert item.score == probe.check(item.answer)
        prompt = tokenizer(render_prompt(tokenizer, [{"role": "user", "content": probe.prompt}], probe.tools))
        ids = torch.tensor([prompt["input_ids"]])
        greedy = model.generate(ids, do_sample=False, max_new_tokens=ANSWER_TOKENS[family])[0, ids.shape[1] :]
        assert item.answer == tokenizer.decode(greedy, skip_special_tokens=True)


def test_an_evaluation_holds_every_model_to_the_suite(run: EvaluationRun) -> None:
    with_suite = run.settings.model_copy(update={"regression_items": 8})
    evaluate(run.model_copy(update={"settings": with_suite}), Recorder())
    content = json.loads((run.output_dir / "evaluation.json").read_text())
    assert (content["pairs"], content["contributors"], content["weeks"]) == (24, 12, 3)
    found = pl.DataFrame(content["comparisons"]).filter(pl.col("metric").str.starts_with("probe_"))
    assert found["metric"].to_list() == [metric.name for metric in PROBES]
    assert found["pairs"].to_list() == [8] * len(PROBES)
    assert found["role"].unique().to_list() == ["guard"]
    without = with_suite.model_copy(update={"probe_answers_margin": 1.0})
    assert set(with_suite.margins) - set(without.margins) == {"probe_general_answers"}
    answers = pl.read_parquet(run.output_dir / "answers.parquet")
    probes = answers.filter(pl.col("pair_id").str.starts_with("probe_"))
    assert probes.height == 2 * 8 * len(FAMILIES)


@pytest.mark.parametrize("items", [0, 5])
def test_the_suite_can_be_made_smaller_or_switched_off(run: EvaluationRun, items: int) -> None:
    settings = run.settings.model_copy(update={"regression_items": items})
    evaluate(run.model_copy(update={"settings": settings}), Recorder())
    scores = pl.read_parquet(run.output_dir / "scores.parquet")
    asked = scores.filter(pl.col("metric").str.starts_with("probe_"))
    assert asked.height == 2 * items * len(PROBES)
