from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.tool_calling.names import EVALUATION_ASSET, POLICY_ASSET, SCENARIOS_ASSET, UNDATED, respondents

SMALL = {
    "GRPO_TRAINING__PROFILE": "tiny",
    "GRPO_TOOL_CALLING__SCENARIOS__TRAIN": "30",
    "GRPO_TOOL_CALLING__SCENARIOS__HELD_OUT": "8",
    "GRPO_TOOL_CALLING__TRAINING__WARM_START_STEPS": "2",
    "GRPO_TOOL_CALLING__TRAINING__STEPS": "2",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    for name, value in {**SMALL, "GRPO_HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "dagster")) as instance:
        yield instance


def run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    from grpo_pipeline.definitions import defs

    return defs.resolve_job_def("tool_calling_job").execute_in_process(instance=instance, raise_on_error=False)


@pytest.mark.slow
def test_scenarios_become_an_evaluated_policy_once(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    first = run(instance)
    assert first.success
    artifacts = ArtifactStore(tmp_path / "home" / "artifacts")
    scenarios = artifacts.require(SCENARIOS_ASSET, UNDATED)
    assert scenarios.manifest["counts"]["train"] == len(pl.read_parquet(scenarios.path / "train.parquet")) == 30
    policy = artifacts.require(POLICY_ASSET, UNDATED)
    assert policy.manifest["inputs"] == {SCENARIOS_ASSET: {UNDATED: scenarios.hash}}
    adapters = [item.adapter for item in respondents(policy) if item.adapter]
    weights = [adapter / "adapter_model.safetensors" for adapter in adapters]
    assert weights[0].read_bytes() != weights[1].read_bytes()
    evaluation = artifacts.require(EVALUATION_ASSET, UNDATED)
    assert list(evaluation.manifest["shares"]) == ["base", "warm_start", "grpo"]
    assert {found["all"]["n"] for found in evaluation.manifest["shares"].values()} == {8}
    assert list(evaluation.manifest["differences"]) == ["warm_start minus base", "grpo minus warm_start"]
    checks = {item.check_name: item.passed for item in first.get_asset_check_evaluations()}
    assert set(checks) == {"training_is_healthy", "grpo_adds_to_its_warm_start"}

    again = run(instance)
    assert again.success
    said = [entry.user_message for entry in instance.all_logs(again.run_id)]
    assert any("Trained already" in text for text in said)
    assert any("Evaluated already" in text for text in said)
    assert artifacts.require(POLICY_ASSET, UNDATED).hash == policy.hash
    no_text_in_the_events(instance, scenarios.path / "held_out.parquet", [first.run_id, again.run_id])

    shown = subprocess.run(
        [sys.executable, "-m", "grpo_pipeline", "tools"], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert "Trained already" in shown
    assert "The model to use is base: nothing trained is credibly better" in shown


def no_text_in_the_events(instance: dg.DagsterInstance, held_out: Path, run_ids: list[str]) -> None:
    logged = "\n".join(str(entry) for run_id in run_ids for entry in instance.all_logs(run_id))
    requests = [prompt[0]["content"] for prompt in pl.read_parquet(held_out)["prompt"]]
    assert not [text for text in requests if text in logged]
