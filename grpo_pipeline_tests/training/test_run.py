import math
import shutil
from pathlib import Path

import polars as pl
import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.rewards.weights import DEFAULT_WEIGHTS
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.data import grpo_dataset, load_training_data, warm_start_examples
from grpo_pipeline.training.determinism import quiet_libraries
from grpo_pipeline.training.loading import load_policy, load_tokenizer, render_prompt
from grpo_pipeline.training.process import EXIT_ERROR, run_process
from grpo_pipeline.training.profiles import Hardware, resolve
from grpo_pipeline.training.run import train
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline_tests.training.datasets import pair, tiny_pairs, write_dataset
from grpo_pipeline_tests.training.runs import manifest, metrics, run_here, samples, start, tiny_config

PATIENCE_SECONDS = 300.0


@pytest.fixture(scope="module")
def undisturbed(dataset: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """A run that nothing happened to."""
    config = tiny_config(dataset, tmp_path_factory.mktemp("undisturbed") / "policy", home)
    run_here(config)
    return config


def test_a_run_leaves_all_its_parts_and_nothing_else(undisturbed: RunConfig) -> None:
    found = {path.name for path in undisturbed.output_dir.iterdir()}
    assert found == {
        "adapter",
        "metrics.jsonl",
        "completions",
        "pair_ids.parquet",
        "manifest.json",
        "README.md",
        "preflight.json",
    }


def test_the_warm_start_learns_the_corrections(undisturbed: RunConfig) -> None:
    losses = [row["loss"] for row in metrics(undisturbed.output_dir) if row["phase"] == "Warm start"]
    assert len(losses) == 10
    assert losses[-1] < losses[0] / 2


def test_every_reward_of_every_step_is_a_number_or_absent(undisturbed: RunConfig) -> None:
    text = (undisturbed.output_dir / "metrics.jsonl").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    rows = [row for row in metrics(undisturbed.output_dir) if row["phase"] == "GRPO"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        assert all(f"rewards/{name}/mean" in row for name in DEFAULT_WEIGHTS)
        assert math.isfinite(row["reward"])
    assert len({row["reward"] for row in rows}) > 1


def test_every_sampled_answer_is_kept_with_its_pair_and_rewards(undisturbed: RunConfig) -> None:
    found = samples(undisturbed.output_dir)
    assert set(found.columns) == {"pair_id", "step", "completion", "cut", "given", "reward", *DEFAULT_WEIGHTS}
    assert len(found) == 6 * 2 * 4
    assert found["reward"].null_count() == 0
    assert not found["given"].any()
    assert found.filter(pl.col("cut"))["truncated"].unique().to_list() == [-1.0]
    known = pl.read_parquet(undisturbed.output_dir / "pair_ids.parquet")
    assert set(found["pair_id"]) <= set(known.filter("used")["pair_id"])
    assert len(known) == 12


def test_the_manifest_and_the_card_say_what_was_done(undisturbed: RunConfig, home: Path) -> None:
    found = manifest(undisturbed.output_dir)
    assert found["steps"] == {"Warm start": 10, "GRPO": 6}
    assert found["counts"] == {"pairs": 12, "trained_pairs": 12, "sampled_prompts": 12, "left_out": 0}
    assert found["base_model"]["name"] == "tiny-qwen3"
    assert found["settings"]["seed"] == 3
    assert set(found["health"]) == {"cut_answers", "steps_without_signal"}
    card = (undisturbed.output_dir / "README.md").read_text(encoding="utf-8")
    assert found["adapter_sha256"] in card
    for name in ("manifest.json", "README.md", "adapter/adapter_config.json"):
        assert str(home) not in (undisturbed.output_dir / name).read_text(encoding="utf-8")


def test_the_adapter_changes_what_the_base_model_answers(undisturbed: RunConfig, home: Path) -> None:
    base = locate_base_model("tiny-qwen3", home)
    tokenizer = load_tokenizer(base)
    prompt = tokenizer(render_prompt(tokenizer, [{"role": "user", "content": "Question 1?"}]), return_tensors="pt")
    answers = []
    for adapter in (None, undisturbed.output_dir / "adapter"):
        model = load_policy(base, adapter)
        tokens = model.generate(**prompt, max_new_tokens=10, do_sample=False)
        answers.append(tokenizer.decode(tokens[0][prompt["input_ids"].shape[1] :]))
    assert answers[0] != answers[1]


def test_a_finished_policy_is_not_trained_again(undisturbed: RunConfig) -> None:
    before = (undisturbed.output_dir / "manifest.json").stat().st_mtime_ns
    assert "finished already" in run_here(undisturbed)[-1]
    assert (undisturbed.output_dir / "manifest.json").stat().st_mtime_ns == before


def test_a_finished_policy_is_not_overwritten_by_another(undisturbed: RunConfig) -> None:
    other = undisturbed.model_copy(update={"seed": 4})
    with pytest.raises(PipelineError, match="holds a finished policy of another"):
        run_here(other)


def test_checkpoints_of_other_settings_are_not_gone_on_from(undisturbed: RunConfig, tmp_path: Path) -> None:
    config = undisturbed.model_copy(update={"output_dir": tmp_path / "policy"})
    stale = config.output_dir / "checkpoints"
    (stale / "warm_start" / "adapter").mkdir(parents=True)
    (stale / "config_hash").write_text("of another run")
    run_here(config)
    assert manifest(config.output_dir)["adapter_sha256"] == manifest(undisturbed.output_dir)["adapter_sha256"]


@pytest.mark.slow
def test_two_processes_train_one_policy(dataset: Path, home: Path, tmp_path: Path) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, warm_start_steps=2, steps=2)
    process = start(config, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors[-3000:]
    assert manifest(config.output_dir)["processes"] == 2
    assert len(samples(config.output_dir)) == 2 * 2 * 4
    assert [row["step"] for row in metrics(config.output_dir)] == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("launcher", "prompts"),
    [
        pytest.param([], 2, id="one process"),
        pytest.param(
            ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"],
            1,
            id="a group on two processes",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_guided_group_ends_with_the_correction_of_a_pair_not_read_before(
    dataset: Path, home: Path, tmp_path: Path, launcher: list[str], prompts: int
) -> None:
    own = {"guided": True, "practise_unread": True, "prompts_per_step": prompts}
    config = tiny_config(dataset, tmp_path / "policy", home, warm_start_steps=1, steps=2, **own)
    process = start(config, *launcher)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors[-3000:]
    found = samples(config.output_dir)
    groups = found.group_by("step", "pair_id", maintain_order=True).agg("completion", "cut", "given")
    assert len(groups) == 2 * prompts
    for completions, cut, given in groups.select("completion", "cut", "given").iter_rows():
        # After one step of warm start the tiny model finds no answer like it by itself.
        assert [text == "good day." for text in completions] == [False, False, False, True]
        assert not cut[-1]
        assert given == [False, False, False, True]
    tokenizer = load_tokenizer(locate_base_model("tiny-qwen3", home))
    resolved = resolve(config.seeded_settings, Hardware(0, cpu_bf16=False))
    data = load_training_data(dataset, tokenizer, resolved)
    read = {example.pair_id for example in warm_start_examples(data, resolved, 1)}
    assert read
    assert read.isdisjoint(found["pair_id"])


def test_pairs_are_practised_again_where_too_few_are_unread(dataset: Path, home: Path) -> None:
    resolved = resolve(TrainingSettings(profile="tiny"), Hardware(0, cpu_bf16=False))
    data = load_training_data(dataset, load_tokenizer(locate_base_model("tiny-qwen3", home)), resolved)
    first = {example.pair_id for example in data.sampled[:7]}
    # Twelve pairs, two a step.
    assert first.isdisjoint(grpo_dataset(data, resolved, 2, first)["pair_id"])
    assert set(grpo_dataset(data, resolved, 6, first)["pair_id"]) == {example.pair_id for example in data.sampled}


def test_divergence_fails_the_run_and_says_so(
    dataset: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, warm_start_learning_rate=1e30)
    quiet_libraries()
    assert run_process(lambda watcher: train(config, watcher), config.output_dir) == EXIT_ERROR
    assert capsys.readouterr().err.startswith("Error: Training diverged: the ")
    assert not (config.output_dir / "manifest.json").exists()
    assert "NaN" not in (config.output_dir / "metrics.jsonl").read_text(encoding="utf-8")


def test_a_full_disk_is_one_sentence(
    dataset: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, warm_start=False)
    (config.output_dir / "completions").mkdir(parents=True)
    (config.output_dir / "completions" / "step_00001_0.parquet").symlink_to("/dev/full")
    quiet_libraries()
    assert run_process(lambda watcher: train(config, watcher), config.output_dir) == EXIT_ERROR
    assert f"The disk of {config.output_dir} is full" in capsys.readouterr().err


def test_pairs_that_do_not_fit_are_counted_and_named(home: Path, tmp_path: Path) -> None:
    long_prompt = pair(100, "word " * 500, "good day.", "no idea;")
    long_correction = pair(101, "Question?", "good day. " * 5, "no idea;")
    broken_tools = {**pair(102, "Question?", "good day.", "no idea;"), "tools": "[{"}
    dataset = write_dataset(tmp_path / "dataset", [*tiny_pairs(4), long_prompt, long_correction, broken_tools])
    config = tiny_config(dataset, tmp_path / "policy", home, warm_start_steps=1, steps=1)
    run_here(config)
    counts = {"pairs": 7, "trained_pairs": 5, "sampled_prompts": 4, "left_out": 2}
    assert manifest(config.output_dir)["counts"] == counts
    table = pl.read_parquet(config.output_dir / "pair_ids.parquet")
    assert table.filter(~pl.col("used"))["pair_id"].to_list() == [long_prompt["id"], broken_tools["id"]]
    assert table.filter(pl.col("reason").is_not_null())["pair_id"].to_list() == [
        long_prompt["id"],
        long_correction["id"],
        broken_tools["id"],
    ]


def test_a_dataset_that_cannot_be_trained_on_says_why(dataset: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="has no train.parquet"):
        run_here(tiny_config(tmp_path, tmp_path / "policy", home))
    with pytest.raises(PipelineError, match="0 of 12 pairs"):
        run_here(tiny_config(dataset, tmp_path / "policy", home, max_prompt_tokens=5))
    shutil.copytree(dataset, tmp_path / "other")
    pl.read_parquet(dataset / "train.parquet").drop("tools").write_parquet(tmp_path / "other" / "train.parquet")
    with pytest.raises(PipelineError, match="lacks the columns tools"):
        run_here(tiny_config(tmp_path / "other", tmp_path / "policy", home))
