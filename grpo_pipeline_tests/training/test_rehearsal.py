"""General requests that the warm start repeats: which they are, who answers them, and taking up such a run again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from grpo_pipeline.dataset.similar_prompts import similar_across
from grpo_pipeline.evaluation.regression.suite import FAMILIES
from grpo_pipeline.training.base_model import BaseModel, locate_base_model
from grpo_pipeline.training.data import IGNORED, Rehearsed, load_training_data, warm_start_dataset
from grpo_pipeline.training.loading import load_policy, load_tokenizer
from grpo_pipeline.training.policy import Policy, adapter_digest, save_adapter
from grpo_pipeline.training.profiles import Hardware, ResolvedTraining, resolve
from grpo_pipeline.training.rehearsal import REHEARSAL_FILE, earlier_rehearsal, rehearse_once, requests
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.warm_start import warm_start, warm_start_steps
from grpo_pipeline_tests.training.runs import manifest, run_here, tiny_config

# Half as alike as what counts as a leak from training into the held-out pairs.
CLOSE = 0.35


def resolved(**settings: object) -> ResolvedTraining:
    return resolve(TrainingSettings.model_validate({"profile": "tiny", **settings}), Hardware(0, cpu_bf16=False))


@pytest.fixture(scope="module")
def base(home: Path) -> BaseModel:
    return locate_base_model("tiny-qwen3", home)


def test_no_request_is_close_to_an_item_of_the_regression_suite() -> None:
    asked = [conversation[-1]["content"] for conversation in requests()]
    assert 60 <= len(set(asked)) == len(asked) <= 120
    items = [item.prompt for family in FAMILIES.values() for item in family]
    assert similar_across(asked, items, CLOSE) == {}
    assert similar_across(["What is the capital of Greece?"], items, CLOSE) != {}


def test_requests_come_with_and_without_a_system_message() -> None:
    roles = [tuple(message["role"] for message in conversation) for conversation in requests()]
    assert set(roles) == {("user",), ("system", "user")}
    assert min(roles.count(("user",)), roles.count(("system", "user"))) >= 20


def test_the_base_model_answers_greedily_and_only_once(base: BaseModel, tmp_path: Path) -> None:
    policy, tokenizer = Policy(base, resolved(rehearsal_share=0.5, max_completion_tokens=6)), load_tokenizer(base)
    found = rehearse_once(policy, tokenizer, tmp_path, steps=1000)
    assert len(found) == len(list(requests()))
    model = load_policy(base)
    for item in found[::20]:
        prompt = torch.tensor([list(item.prompt_tokens)])
        expected = model.generate(prompt, do_sample=False, max_new_tokens=6)[0, prompt.shape[1] :]
        assert list(item.answer_tokens) == expected.tolist()
    (tmp_path / REHEARSAL_FILE).write_text('[{"prompt_tokens": [1], "answer_tokens": [2]}]')
    assert rehearse_once(policy, tokenizer, tmp_path, steps=1000) == [Rehearsed([1], [2])]


def test_no_more_requests_are_answered_than_are_read(base: BaseModel, tmp_path: Path) -> None:
    policy = Policy(base, resolved(rehearsal_share=0.5, max_completion_tokens=2))
    found = rehearse_once(policy, load_tokenizer(base), tmp_path, steps=3)
    assert len({tuple(item.prompt_tokens) for item in found}) == 3 * policy.resolved.rehearsed_per_step == 6


def test_without_a_share_nothing_is_answered(base: BaseModel, tmp_path: Path) -> None:
    assert rehearse_once(Policy(base, resolved()), load_tokenizer(base), tmp_path, steps=5) == []
    assert earlier_rehearsal(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("batch", "share", "pairs", "rehearsed"), [(8, 0.25, 6, 2), (16, 0.1, 14, 2), (4, 0.0, 4, 0), (1, 0.9, 1, 0)]
)
def test_a_step_holds_its_share_of_requests_and_a_pair_at_least(
    batch: int, share: float, pairs: int, rehearsed: int
) -> None:
    found = resolved(warm_start_batch=batch, rehearsal_share=share)
    assert (found.pairs_per_step, found.rehearsed_per_step) == (pairs, rehearsed)


def test_every_step_holds_pairs_and_requests_and_every_pair_is_read_as_often(base: BaseModel, dataset: Path) -> None:
    tokenizer, settings = load_tokenizer(base), resolved(rehearsal_share=0.25, warm_start_epochs=2.0)
    data = load_training_data(dataset, tokenizer, settings)
    steps = warm_start_steps(len(data.examples), settings)
    assert steps == 8
    general = [Rehearsed([1, 2], [3, 4]), Rehearsed([1], [5])]
    rows = warm_start_dataset(data, settings, steps, general)
    assert len(rows) == steps * settings.warm_start_batch
    ours = [
        {"input_ids": [1, 2, 3, 4], "labels": [IGNORED, IGNORED, 3, 4]},
        {"input_ids": [1, 5], "labels": [IGNORED, 5]},
    ]
    places = [place for place, row in enumerate(rows) if row in ours]
    assert places == [step * 4 + 3 for step in range(steps)]
    corrections = [tuple(row["input_ids"]) for place, row in enumerate(rows) if place not in places]
    assert {corrections.count(row) for row in corrections} == {2}


def test_a_warm_start_that_is_taken_up_again_is_the_same_to_the_bit(
    base: BaseModel, dataset: Path, tmp_path: Path
) -> None:
    settings = resolved(rehearsal_share=0.25, warm_start_steps=6)
    tokenizer = load_tokenizer(base)
    data, policy = load_training_data(dataset, tokenizer, settings), Policy(base, settings)
    digests = []
    for folder, after in ((tmp_path / "whole", None), (tmp_path / "again", "checkpoint-4")):
        if after:
            shutil.copytree(tmp_path / "whole" / after, folder / after)
            shutil.copy(tmp_path / "whole" / REHEARSAL_FILE, folder)
        trained = warm_start(policy, data, tokenizer, settings, folder, folder / after if after else None, [])
        save_adapter(trained.accelerator.unwrap_model(trained.model), base, folder / "adapter")
        digests.append(adapter_digest(folder / "adapter"))
    assert digests[0] == digests[1]


def test_manifest_and_card_say_what_was_rehearsed(dataset: Path, home: Path, tmp_path: Path) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, rehearsal_share=0.25, warm_start_steps=3, steps=1)
    run_here(config)
    assert manifest(config.output_dir)["rehearsal"] == {"requests": 3, "reads": 3}
    card = (config.output_dir / "README.md").read_text(encoding="utf-8")
    assert "own answers to 3\ngeneral requests, 3 times in all." in card
