import signal
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.methods.catalog import BY_SIMPLICITY
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline_tests.training.runs import manifest, metrics, reached, run_here, start, tiny_config

ALL = BY_SIMPLICITY
SHORT = {"warm_start_steps": 4, "steps": 2, "prompts_per_step": 2, "num_generations": 2}


def candidates_in(output: Path) -> dict[str, dict[str, Any]]:
    return {item["method"]: item for item in manifest(output)["candidates"]}


@pytest.fixture(scope="module")
def alone(dataset: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """GRPO after a warm start without any challenger."""
    config = tiny_config(dataset, tmp_path_factory.mktemp("alone") / "policy", home, **SHORT)
    run_here(config)
    return config


@pytest.fixture(scope="module")
def together(alone: RunConfig, dataset: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """Every method on the same pairs, the last one going on from a policy trained before."""
    config = tiny_config(dataset, tmp_path_factory.mktemp("together") / "policy", home, methods=ALL, **SHORT)
    config = config.model_copy(update={"champion_adapter": alone.output_dir / "adapter"})
    run_here(config)
    return config


def test_a_method_trained_alone_lies_at_the_top_and_names_itself(alone: RunConfig) -> None:
    assert {path.name for path in alone.output_dir.iterdir()} == {
        "adapter",
        "metrics.jsonl",
        "completions",
        "pair_ids.parquet",
        "manifest.json",
        "README.md",
        "preflight.json",
    }
    assert manifest(alone.output_dir)["method"] == "grpo_after_warm_start"
    assert [item["folder"] for item in manifest(alone.output_dir)["candidates"]] == ["."]


def test_every_method_leaves_a_policy_of_its_own_with_all_its_parts(together: RunConfig) -> None:
    found = candidates_in(together.output_dir)
    assert list(found) == list(ALL)
    assert len({item["adapter_sha256"] for item in found.values()}) == len(ALL)
    for method, item in found.items():
        folder = together.output_dir / item["folder"]
        assert (folder / "adapter" / "adapter_config.json").exists()
        assert len(pl.read_parquet(folder / "pair_ids.parquet")) == 12
        assert (folder / "completions").exists() == ("grpo" in method or method == "from_champion")
    assert not (together.output_dir / "checkpoints").exists()


def test_challengers_do_not_change_the_policy_they_stand_beside(together: RunConfig, alone: RunConfig) -> None:
    beside, before = manifest(together.output_dir), manifest(alone.output_dir)
    assert beside["method"] == before["method"] == "grpo_after_warm_start"
    assert beside["adapter_sha256"] == before["adapter_sha256"]
    assert metrics(together.output_dir) == metrics(alone.output_dir)


def test_sft_is_the_warm_start_of_the_policy_it_stands_beside(together: RunConfig) -> None:
    rows = metrics(together.output_dir / "challengers" / "sft")
    assert rows == [row for row in metrics(together.output_dir) if row["phase"] == "Warm start"]


def test_every_method_reads_the_pairs_as_often_but_for_sft_and_the_champions_child(together: RunConfig) -> None:
    reads = {method: item["pair_reads"] for method, item in candidates_in(together.output_dir).items()}
    assert reads == {"sft": 16, "dpo": 20, "grpo": 20, "grpo_after_warm_start": 20, "from_champion": 4}
    steps = {method: item["steps"] for method, item in candidates_in(together.output_dir).items()}
    assert steps == {
        "sft": {"Warm start": 4},
        "dpo": {"DPO": 5},
        "grpo": {"GRPO from base": 10},
        "grpo_after_warm_start": {"Warm start": 4, "GRPO": 2},
        "from_champion": {"GRPO from champion": 2},
    }


def test_dpo_learns_to_tell_the_corrections_from_the_answers_they_replaced(
    dataset: Path, home: Path, tmp_path: Path
) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, methods=("dpo",), dpo_learning_rate=1e-2)
    run_here(config)
    rows = metrics(config.output_dir)
    assert {row["phase"] for row in rows} == {"DPO"}
    assert rows[-1]["rewards/accuracies"] == 1.0
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert manifest(config.output_dir)["method"] == "dpo"
    assert "trained with DPO" in (config.output_dir / "README.md").read_text(encoding="utf-8")


def test_going_on_from_a_champion_needs_one_and_is_left_out_where_there_is_none(
    dataset: Path, home: Path, tmp_path: Path
) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, methods=("from_champion",), **SHORT)
    with pytest.raises(PipelineError, match="no champion on this base model to go on from"):
        run_here(config)
    several = tiny_config(dataset, tmp_path / "policy", home, methods=("sft", "from_champion"), **SHORT)
    run_here(several)
    assert list(candidates_in(several.output_dir)) == ["sft"]


@pytest.mark.slow
def test_a_run_killed_within_dpo_and_within_grpo_ends_as_an_undisturbed_one(
    together: RunConfig, tmp_path: Path
) -> None:
    config = together.model_copy(update={"output_dir": tmp_path / "policy"})
    for folder, phase, step in (("challengers/dpo", "DPO", 3), ("challengers/grpo", "GRPO from base", 3)):
        process = start(config)
        deadline = time.monotonic() + 300
        while not reached(config.output_dir / folder, phase, step) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.communicate()
        assert not (config.output_dir / "manifest.json").exists()
    run_here(config)
    for undisturbed, taken_up in zip(
        candidates_in(together.output_dir).values(), candidates_in(config.output_dir).values(), strict=True
    ):
        assert taken_up["adapter_sha256"] == undisturbed["adapter_sha256"]
        assert metrics(config.output_dir / taken_up["folder"]) == metrics(together.output_dir / taken_up["folder"])
