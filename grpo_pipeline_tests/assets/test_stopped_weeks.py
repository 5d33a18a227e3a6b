"""Weeks whose training stops for a reason: the pre-flight's no-go, or a cap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from grpo_pipeline.rewards.weights import DEFAULT_WEIGHTS
from grpo_pipeline.training.ledger import read_ledger
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEK = "2026-10-05"
# The tiny model never writes four words of a prompt in a row, so no answer is better than another.
CONSTANT = {**dict.fromkeys(DEFAULT_WEIGHTS, 0.0), "prompt_copy": 1.0}


def preflight(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "grpo_pipeline", "preflight", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def checks_of(run: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in run.get_asset_check_evaluations()}


def working_folders(project: Project) -> list[Path]:
    folder = project.artifacts.root / ".working"
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.slow
def test_a_no_go_trains_nothing_says_why_and_carries_the_incumbent_forward(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_edits(project.url, Week(WEEK), 60)
    monkeypatch.setenv("GRPO_TRAINING__REWARD_WEIGHTS", json.dumps(CONSTANT))
    monkeypatch.setenv("GRPO_TRAINING__WARM_START", "false")
    monkeypatch.setenv("GRPO_TRAINING__PREFLIGHT_MIN_USEFUL", "0.2")
    run = project.run("weekly_training_job", WEEK)
    assert run.success
    policy = project.manifest("grpo_policy", WEEK)
    assert not policy["trained"]
    assert policy["verdict"]["reason"].startswith("No-go: 0 of 8 prompts")
    check = checks_of(run)["will_it_learn"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert project.manifest("policy_evaluation", WEEK)["verdict"]["status"] == "skipped"
    assert policy["verdict"]["reason"] in project.manifest("champion", WEEK)["verdict"]["reason"]
    assert project.materialized("champion") == {WEEK}
    assert working_folders(project) == []
    code, report = preflight("--week", WEEK)
    assert (code, report["go"], report["dead_groups"]) == (3, False, 1.0)


@pytest.mark.slow
def test_a_week_stopped_at_a_cap_goes_on_where_the_cap_is_raised(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_edits(project.url, Week(WEEK), 60)
    with monkeypatch.context() as patched:
        patched.setenv("GRPO_TRAINING__MAX_HOURS_PER_RUN", "1e-6")
        a_cap_keeps_what_was_trained(project, project.run("weekly_training_job", WEEK))
    monkeypatch.setenv("GRPO_TRAINING__PRICE_PER_HOUR", "3")
    a_raised_cap_goes_on(project, project.run("weekly_training_job", WEEK))
    code, report = preflight("--model", project.manifest("grpo_policy", WEEK)["version"])
    assert (code, report["go"], report["warm_start_device_hours"]) == (0, True, 0.0)


def a_cap_keeps_what_was_trained(project: Project, run: dg.ExecuteInProcessResult) -> None:
    assert run.success
    policy = project.manifest("grpo_policy", WEEK)
    assert not policy["trained"]
    assert "GRPO_TRAINING__MAX_HOURS_PER_RUN" in policy["verdict"]["reason"]
    assert policy["verdict"]["reason"] in project.manifest("champion", WEEK)["verdict"]["reason"]
    (folder,) = working_folders(project)
    assert list(folder.glob("output/checkpoints/warm_start/checkpoint-1"))
    assert project.registry.list() == []
    assert sum(read_ledger(project.home).values()) > 0


def a_raised_cap_goes_on(project: Project, run: dg.ExecuteInProcessResult) -> None:
    assert run.success
    said = [entry.user_message for entry in project.instance.all_logs(run.run_id)]
    assert any("Going on from the checkpoints" in message for message in said)
    policy = project.manifest("grpo_policy", WEEK)
    assert policy["trained"]
    assert policy["steps"]["Warm start"] == 10
    assert set(policy["preflight"]) == {"grpo_after_warm_start"}
    assert working_folders(project) == []
    metadata = run.asset_materializations_for_node("grpo_policy")[-1].metadata
    assert metadata["training cost"].value == pytest.approx(policy["device_hours"] * 3, abs=0.01)
    assert "pre-flight" in metadata
