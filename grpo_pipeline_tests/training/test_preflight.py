import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from grpo_pipeline.rewards.weights import DEFAULT_WEIGHTS
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.data import load_training_data
from grpo_pipeline.training.loading import load_tokenizer
from grpo_pipeline.training.policy import Policy
from grpo_pipeline.training.preflight import Start, sample_for_preflight, untouched_random_state
from grpo_pipeline.training.profiles import Hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.stopping import NOTHING_TO_LEARN, read_stopped
from grpo_pipeline.training.watching import SilentWatcher
from grpo_pipeline_tests.training.runs import manifest, metrics, run_here, tiny_config

METHOD = "grpo_after_warm_start"
# Says 0 of every answer here, as these prompts are too short to be copied: no answer is better than another.
CONSTANT = {**dict.fromkeys(DEFAULT_WEIGHTS, 0.0), "prompt_copy": 1.0}


def test_where_there_is_something_to_learn_grpo_runs_and_the_manifest_says_what_was_expected(
    dataset: Path, home: Path, tmp_path: Path
) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, price_per_hour=2.0)
    run_here(config)
    found = manifest(config.output_dir)
    report = found["preflight"][METHOD]
    assert found["grpo"]["ran"]
    assert report["go"]
    assert report["reason"].startswith("Go: ")
    assert report["prompts"] == 8
    assert report["answers"] == 32
    assert report["useful_groups_per_step"] == pytest.approx(2 * report["useful_groups"])
    assert report["steps"] == found["steps"]["GRPO"] == 6
    assert report["reward_noise"] == 0
    assert report["device_hours"] == pytest.approx(6 * report["seconds_per_step"] / 3600, rel=0.01)
    assert json.loads((config.output_dir / "preflight.json").read_text(encoding="utf-8")) == {METHOD: report}


def test_guided_groups_are_judged_with_their_correction(dataset: Path, home: Path) -> None:
    base = locate_base_model("tiny-qwen3", home)
    tokenizer = load_tokenizer(base)
    rewards = []
    for guided in (True, False):
        settings = TrainingSettings(profile="tiny", guided=guided, reward_weights=CONSTANT | {"similarity": 1.0})
        resolved = resolve(settings, Hardware(0, cpu_bf16=False))
        data = load_training_data(dataset, tokenizer, resolved)
        start = Start(Policy(base, resolved), None, devices=1)
        rewards.append(sample_for_preflight(start, data, tokenizer, SilentWatcher()).rewards)
    for with_it, without in zip(*rewards, strict=True):
        # The others are sampled by the same policy with the same chance.
        assert with_it[:-1] == without[:-1]
        found, given = max(score for score in without if score is not None), with_it[-1]
        assert given is not None
        assert found < 0.5 < given


def test_the_policy_is_the_same_with_and_without_a_preflight(dataset: Path, home: Path, tmp_path: Path) -> None:
    with_it, without = (
        tiny_config(dataset, tmp_path / name, home, steps=2, preflight=preflight)
        for name, preflight in (("with", True), ("without", False))
    )
    run_here(with_it)
    run_here(without)
    assert manifest(with_it.output_dir)["adapter_sha256"] == manifest(without.output_dir)["adapter_sha256"]
    assert manifest(without.output_dir)["preflight"] == {}


def test_a_reward_that_tells_no_answers_apart_leaves_the_warm_started_policy(
    dataset: Path, home: Path, tmp_path: Path
) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, reward_weights=CONSTANT, preflight_min_useful=0.2)
    run_here(config)
    found = manifest(config.output_dir)
    assert not found["grpo"]["ran"]
    assert found["grpo"]["reason"].startswith("No-go: 0 of 8 prompts have answers whose rewards differ")
    assert found["preflight"][METHOD]["dead_groups"] == 1
    assert found["steps"] == {"Warm start": 10}
    assert {row["phase"] for row in metrics(config.output_dir)} == {"Warm start"}
    assert (config.output_dir / "adapter" / "adapter_model.safetensors").exists()
    assert "GRPO was left out, so this is the policy after the warm start. No-go" in (
        config.output_dir / "README.md"
    ).read_text(encoding="utf-8")


def test_without_a_warm_start_a_no_go_leaves_no_policy_and_says_why(dataset: Path, home: Path, tmp_path: Path) -> None:
    config = tiny_config(
        dataset, tmp_path / "policy", home, reward_weights=CONSTANT, preflight_min_useful=0.2, warm_start=False
    )
    said = run_here(config)
    assert not (config.output_dir / "manifest.json").exists()
    stopped = read_stopped(config.output_dir)
    assert stopped is not None
    assert stopped["outcome"] == NOTHING_TO_LEARN
    assert stopped["reason"] == said[-1]
    assert not stopped["preflight"]["grpo"]["go"]


def test_where_grpo_has_nothing_to_learn_the_next_method_leads(dataset: Path, home: Path, tmp_path: Path) -> None:
    config = tiny_config(
        dataset,
        tmp_path / "policy",
        home,
        reward_weights=CONSTANT,
        preflight_min_useful=0.2,
        methods=("sft", "grpo"),
        warm_start_steps=2,
    )
    run_here(config)
    found = manifest(config.output_dir)
    assert found["method"] == "sft"
    assert [candidate["folder"] for candidate in found["candidates"]] == ["."]
    assert not found["preflight"]["grpo"]["go"]
    assert (config.output_dir / "adapter" / "adapter_model.safetensors").exists()
    assert {row["phase"] for row in metrics(config.output_dir)} == {"Warm start"}


def test_what_is_done_in_between_leaves_chance_as_it_was() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = draw()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    with untouched_random_state():
        draw()
        torch.manual_seed(7)
    assert draw() == expected
