from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.loading import load_tokenizer, render_prompt
from grpo_pipeline.training.reward_model.config import RewardModelRun
from grpo_pipeline.training.reward_model.features import (
    Answered,
    FeatureExtractor,
    batches,
    load_lower_half,
    padded_tokens,
)
from grpo_pipeline.training.reward_model.run import Candidate, better_of
from grpo_pipeline.training.reward_model.scoring import RewardModelReward
from grpo_pipeline.training.run import train
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.watching import LineWatcher
from grpo_pipeline_tests.training.reward_model.conftest import made, write_pairs
from grpo_pipeline_tests.training.runs import manifest, metrics, samples, tiny_config


def description(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "reward_model.json").read_text(encoding="utf-8"))
    return found


def test_what_users_prefer_is_learned_and_said_with_its_interval(usable: RewardModelRun) -> None:
    found = description(usable.output_dir)
    assert found["verdict"]["status"] == "pass", found["verdict"]["reason"]
    assert found["fidelity"]["accuracy"]["mean"] > 0.9
    assert [rule["name"] for rule in found["fidelity"]["baselines"]][:2] == ["longer", "shorter"]
    assert found["counts"] == {"trained_pairs": 60, "held_out_pairs": 48}
    assert set(found["cross_validation"]) == {"heads"}


def test_preferences_without_a_rule_are_not_used(home: Path, tmp_path: Path) -> None:
    dataset = write_pairs(tmp_path / "dataset", random_labels=True)
    found = description(made(dataset, tmp_path / "model", home).output_dir)
    assert found["verdict"]["status"] == "inconclusive"
    assert "reward model not used: it ranks" in found["verdict"]["reason"]


def test_too_few_pairs_make_none(letters: Path, home: Path, tmp_path: Path) -> None:
    found = description(made(letters, tmp_path / "model", home, min_pairs=61).output_dir)
    assert found["verdict"]["reason"].startswith("reward model not used: 60 training and 48 held-out pairs")
    assert found["model_sha256"] is None


def test_pairs_that_all_ask_one_question_make_none(letters: Path, home: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    shutil.copytree(letters, dataset)
    pl.read_parquet(dataset / "train.parquet").with_columns(cluster=pl.lit("one")).write_parquet(
        dataset / "train.parquet"
    )
    found = description(made(dataset, tmp_path / "model", home).output_dir)
    assert "too few questions and people" in found["verdict"]["reason"]
    assert found["model_sha256"] is None


def test_the_same_pairs_and_seed_give_the_same_bytes(
    usable: RewardModelRun, letters: Path, home: Path, tmp_path: Path
) -> None:
    again = made(letters, tmp_path / "model", home).output_dir
    assert description(again)["model_sha256"] == description(usable.output_dir)["model_sha256"]
    for name in ("heads.npz", "held_out.parquet"):
        assert (again / name).read_bytes() == (usable.output_dir / name).read_bytes()


def test_nothing_that_users_wrote_is_in_its_files(usable: RewardModelRun, letters: Path) -> None:
    text = (usable.output_dir / "reward_model.json").read_text(encoding="utf-8")
    for answer in pl.read_parquet(letters / "held_out.parquet")["chosen"].to_list():
        assert answer[0]["content"] not in text
    assert pl.read_parquet_schema(usable.output_dir / "held_out.parquet").names() == [
        "pair_id",
        "chosen_reward",
        "rejected_reward",
    ]


def test_in_training_answers_get_the_rewards_that_they_were_judged_by(
    usable: RewardModelRun, letters: Path, home: Path
) -> None:
    base = locate_base_model("tiny-qwen3", home)
    tokenizer = load_tokenizer(base)
    pairs = pl.read_parquet(letters / "held_out.parquet").sort("id")
    prompts = [render_prompt(tokenizer, row["prompt"], row["tools"]) for row in pairs.iter_rows(named=True)]
    reward = RewardModelReward(usable.output_dir, base, tokenizer)
    judged = pl.read_parquet(usable.output_dir / "held_out.parquet")
    for side in ("chosen", "rejected"):
        answers = [answer[0]["content"] for answer in pairs[side].to_list()]
        assert reward(answers, prompts) == pytest.approx(judged[f"{side}_reward"].to_list(), abs=1e-3)
    assert reward([" ", ""], prompts[:2]) == [-2.0, -2.0]


def test_the_prompt_and_its_tools_are_read_and_padding_changes_nothing(home: Path) -> None:
    base = locate_base_model("tiny-qwen3", home)
    tokenizer = load_tokenizer(base)
    extractor = FeatureExtractor(load_lower_half(base, "float32", torch.device("cpu")), batch_tokens=4096)
    prompts = [tokenizer(text)["input_ids"] for text in ("Why?", "Why? Look up the funding first, then say.")]
    answers = [tokenizer(text)["input_ids"] for text in ("Yes.", "No, it grew.", "It is growing very fast.")]
    together = extractor.features([Answered(prompts[0], answers[:2]), Answered(prompts[1], answers)])
    apart = [
        extractor.features([Answered(prompt, [answer])])[0]
        for prompt, kept in zip(prompts, (answers[:2], answers), strict=True)
        for answer in kept
    ]
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert np.abs(together[0] - together[2]).max() > 0.01


def test_features_are_the_middle_layers_mean(home: Path) -> None:
    from transformers import AutoModel

    base = locate_base_model("tiny-qwen3", home)
    half = load_lower_half(base, "float32", torch.device("cpu"))
    whole = AutoModel.from_pretrained(base.folder).eval()
    assert (len(half.layers), len(whole.layers)) == (1, 2)
    ids = load_tokenizer(base)("A question? An answer.")["input_ids"]
    states = whole(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[1]
    wanted = whole.norm(states)[0, 6:].mean(0).detach().numpy()
    found = FeatureExtractor(half, 100).features([Answered(ids[:6], [ids[6:]])])[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_batches_hold_every_item_once_and_no_more_tokens_than_asked_for() -> None:
    items = [Answered([1] * (number % 7 + 1), [[1] * (number % 5 + 1)]) for number in range(40)]
    found = batches(items, 50)
    assert sorted(number for batch in found for number in batch) == list(range(40))
    assert all(padded_tokens([items[number] for number in batch]) <= 50 for batch in found)
    assert len(found) < 20
    assert batches([Answered([1] * 90, [[1]])], 50) == [[0]]


def test_the_kind_that_ranks_more_left_out_pairs_right_is_used_and_the_cheaper_of_equals() -> None:
    good, bad = np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 2.0]])
    assert better_of([Candidate("heads", bad), Candidate("lora", good)]).kind == "lora"
    assert better_of([Candidate("heads", good), Candidate("lora", good)]).kind == "heads"


@pytest.mark.slow
def test_a_lora_reward_model_learns_and_scores_the_same_when_it_is_loaded_again(
    letters: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grpo_pipeline.training.reward_model import run as making

    monkeypatch.setattr(making, "better_of", lambda candidates: candidates[-1])
    lora = {"lora_from_pairs": 60, "lora_epochs": 4, "lora_learning_rate": 1e-2, "folds": 2}
    folder = made(letters, tmp_path / "model", home, **lora).output_dir
    stated = description(folder)
    assert stated["model"]["kind"] == "lora"
    assert set(stated["cross_validation"]) == {"heads", "lora"}
    assert stated["cross_validation"]["lora"] > 0.7
    assert stated["fidelity"]["accuracy"]["mean"] > 0.7
    base = locate_base_model("tiny-qwen3", home)
    tokenizer = load_tokenizer(base)
    pairs = pl.read_parquet(letters / "held_out.parquet").sort("id")
    prompts = [render_prompt(tokenizer, row["prompt"], row["tools"]) for row in pairs.iter_rows(named=True)]
    answers = [answer[0]["content"] for answer in pairs["chosen"].to_list()]
    judged = pl.read_parquet(folder / "held_out.parquet")["chosen_reward"].to_list()
    assert RewardModelReward(folder, base, tokenizer)(answers, prompts) == pytest.approx(judged, abs=1e-3)


@pytest.fixture(scope="module")
def trained(
    usable: RewardModelRun, letters: Path, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunConfig, RunConfig]:
    """The same training without and with the reward model."""
    folder = tmp_path_factory.mktemp("trained")
    plain = tiny_config(letters, folder / "plain", home, warm_start_steps=4, steps=3)
    joined = plain.model_copy(update={"output_dir": folder / "joined", "reward_model_dir": usable.output_dir})
    for config in (plain, joined):
        config.output_dir.mkdir()
        train(config, LineWatcher([]))
    return plain, joined


@pytest.mark.slow
def test_it_joins_training_as_a_reward_of_its_own(trained: tuple[RunConfig, RunConfig], usable: RewardModelRun) -> None:
    plain, joined = trained
    rows = [row for row in metrics(joined.output_dir) if row["phase"] == "GRPO"]
    assert all(abs(row["rewards/reward_model/mean"]) <= 2 for row in rows)
    assert samples(joined.output_dir)["reward_model"].n_unique() > 1
    stated = manifest(joined.output_dir)
    digest = description(usable.output_dir)["model_sha256"]
    assert stated["model_rewards"] == {"reward_model": {"kind": "heads", "weight": 0.3, "sha256": digest}}
    assert stated["rewards"]["reward_model"]["last"] is not None
    without = manifest(plain.output_dir)
    assert without["model_rewards"] == {}
    assert without["config_hash"] != stated["config_hash"]
    assert without["adapter_sha256"] != stated["adapter_sha256"]
    assert "reward_model" not in samples(plain.output_dir).columns


def refused(folder: Path, usable: RewardModelRun, change: dict[str, Any]) -> Path:
    shutil.copytree(usable.output_dir, folder)
    content = description(folder)
    for name, value in change.items():
        content[name] = {**content[name], **value}
    (folder / "reward_model.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdict": {"status": "inconclusive", "reason": "reward model not used: chance."}}, "may not be used"),
        ({"model": {"base_model": "another"}}, "was made for another"),
        ({"model": {"longest_answer": 3}}, "is damaged"),
    ],
)
def test_one_that_may_not_be_used_is_refused(
    usable: RewardModelRun, letters: Path, home: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    folder = refused(tmp_path / "model", usable, change)
    config = tiny_config(letters, tmp_path / "policy", home).model_copy(update={"reward_model_dir": folder})
    with pytest.raises(PipelineError, match=words):
        train(config, LineWatcher([]))
    with pytest.raises(PipelineError, match="holds no reward model"):
        train(config.model_copy(update={"reward_model_dir": tmp_path}), LineWatcher([]))


def test_the_process_says_in_one_sentence_what_is_wrong_with_its_config(tmp_path: Path) -> None:
    config = tmp_path / "run.json"
    config.write_text('{"settings": {"heads": 1}}')
    command = [sys.executable, "-m", "grpo_pipeline.training.reward_model", "--config", str(config)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: The config file ")
    assert "settings.heads" in result.stderr
