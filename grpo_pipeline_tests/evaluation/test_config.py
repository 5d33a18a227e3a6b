from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from grpo_pipeline.config import load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.config import EvaluationRun, read_run, resolve_sizes
from grpo_pipeline.evaluation.pairs import read_pairs
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.training.profiles import Hardware
from grpo_pipeline_tests.evaluation.conftest import letter_pairs


def test_sizes_come_from_the_hardware_unless_they_are_set() -> None:
    cpu = resolve_sizes(EvaluationSettings(), Hardware(gpus=0, cpu_bf16=False))
    gpu = resolve_sizes(EvaluationSettings(), Hardware(gpus=1, cpu_bf16=False))
    assert (cpu.answers_per_prompt, cpu.max_new_tokens, cpu.dtype) == (2, 64, "float32")
    assert (gpu.answers_per_prompt, gpu.max_new_tokens, gpu.dtype) == (4, 512, "bfloat16")
    assert resolve_sizes(EvaluationSettings(max_pairs=7), Hardware(gpus=1, cpu_bf16=False)).max_pairs == 7
    assert resolve_sizes(EvaluationSettings(), Hardware(gpus=0, cpu_bf16=True)).dtype == "bfloat16"


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_EVALUATION__MAX_PAIRS", "33")
    monkeypatch.setenv("GRPO_EVALUATION__PRIMARY_METRICS", '["tool_call_accuracy"]')
    settings = load_settings().evaluation
    assert settings.max_pairs == 33
    assert settings.primary_metrics == ("tool_call_accuracy",)
    assert "tool_call_accuracy" not in settings.margins


@pytest.mark.parametrize("names", [["unheard_of"], ["length_ratio"], ["non_finite"], ["truncated", "truncated"], []])
def test_metrics_that_cannot_decide_are_refused(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_EVALUATION__PRIMARY_METRICS", json.dumps(names))
    with pytest.raises(PipelineError, match="PRIMARY_METRICS"):
        load_settings()


def test_a_smaller_cap_measures_some_of_the_same_pairs(tmp_path: Path) -> None:
    path = tmp_path / "held_out.parquet"
    letter_pairs(30, seed=3).write_parquet(path)
    few, many = ([pair.id for pair in read_pairs(path, most)] for most in (5, 20))
    assert many[:5] == few
    letter_pairs(30, seed=3).reverse().write_parquet(path)
    assert [pair.id for pair in read_pairs(path, 20)] == many


def test_held_out_pairs_without_a_column_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "held_out.parquet"
    letter_pairs(3, seed=3).drop("tools").write_parquet(path)
    with pytest.raises(PipelineError, match="lack the columns tools"):
        read_pairs(path, 3)


def test_a_config_that_cannot_be_used_is_an_error_that_says_why(run: EvaluationRun, tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    with pytest.raises(PipelineError, match="cannot be read"):
        read_run(path)
    path.write_text('{"held_out": 1}')
    with pytest.raises(PipelineError, match="output_dir: Field required"):
        read_run(path)
    path.write_text(run.model_copy(update={"held_out": tmp_path / "none"}).model_dump_json())
    with pytest.raises(PipelineError, match="do not exist"):
        read_run(path)
    path.write_text(run.model_copy(update={"candidate_adapter": tmp_path}).model_dump_json())
    with pytest.raises(PipelineError, match="holds no adapter"):
        read_run(path)


def test_the_process_evaluates_and_says_what_came_of_it(run: EvaluationRun, tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    command = [sys.executable, "-m", "grpo_pipeline.evaluation", "--config", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    missing = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert missing.returncode == 1
    assert missing.stderr.startswith("Error: The config file")

    path.write_text(run.model_dump_json())
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "evaluating candidate, pair 24 of 24: about 0 s left" in done.stdout
    assert "pass: Credibly better" in done.stdout
    answers = pl.read_parquet(run.output_dir / "answers.parquet")["answer"].to_list()
    assert not any(answer in done.stdout + done.stderr for answer in answers if len(answer) > 6)
