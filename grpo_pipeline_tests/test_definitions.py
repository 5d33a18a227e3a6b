from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg

from grpo_pipeline.definitions import defs

CHECKOUT = Path(__file__).parents[1]
MODELS = ("reward_model", "grpo_policy", "policy_evaluation", "champion")
TOOL_CALLING = ("tool_call_scenarios", "tool_calling_policy", "tool_calling_evaluation")
MONITORING = ("success_rates", "ab_test")
DATA = ("agent_feedback", "preference_pairs", "curated_pairs", "preference_dataset")


def test_the_definitions_are_valid() -> None:
    dg.Definitions.validate_loadable(defs)


def test_what_users_see_keeps_its_names() -> None:
    repository = defs.get_repository_def()
    assert {key.path[-1] for key in repository.asset_graph.get_all_asset_keys()} == {
        *DATA,
        *MODELS,
        *TOOL_CALLING,
        *MONITORING,
        "backtest",
    }
    assert {job.name for job in repository.get_all_jobs()} >= {
        "weekly_training_job",
        "data_job",
        "tool_calling_job",
        "monitoring_job",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "weekly_training_schedule",
        "monitoring_schedule",
    }
    assert {sensor.name for sensor in repository.sensor_defs} >= {
        "enough_pairs_sensor",
        "late_feedback_sensor",
        "ab_test_sensor",
        "training_alert_sensor",
        "training_failure_alert_sensor",
        "watch_alert_sensor",
    }
    checks = {(key.asset_key.path[-1], key.name) for key in repository.asset_graph.asset_check_keys}
    assert checks == {
        ("agent_feedback", "rows_lie_in_their_week"),
        ("preference_pairs", "rows_lie_in_their_week"),
        ("curated_pairs", "every_row_is_accounted_for"),
        ("curated_pairs", "nothing_looks_like_poisoning"),
        ("preference_dataset", "nothing_leaks"),
        ("preference_dataset", "no_week_is_missing"),
        ("preference_dataset", "enough_new_pairs"),
        ("reward_model", "reward_model_is_usable"),
        ("grpo_policy", "will_it_learn"),
        ("grpo_policy", "training_is_healthy"),
        ("policy_evaluation", "candidate_is_better"),
        ("champion", "champion_can_be_used"),
        ("ab_test", "no_challenger_is_worse"),
        ("tool_calling_policy", "training_is_healthy"),
        ("tool_calling_evaluation", "grpo_adds_to_its_warm_start"),
    }


def test_every_asset_says_what_it_is_whose_it_is_and_what_it_is_made_with() -> None:
    for spec in defs.resolve_all_asset_specs():
        assert spec.description
        assert spec.group_name != "default"
        assert spec.owners
        assert spec.kinds


def test_training_and_evaluation_share_the_gpu_pool_and_nothing_else_is_in_it() -> None:
    graph = defs.get_repository_def().assets_defs_by_key
    pools = {key.path[-1]: asset.op.pool for key, asset in graph.items() if asset.is_executable and asset.op.pool}
    assert pools == dict.fromkeys(["reward_model", "grpo_policy", "policy_evaluation", *TOOL_CALLING[1:]], "gpu")


def test_data_is_made_of_many_weeks_in_one_run_and_models_of_one() -> None:
    graph = defs.get_repository_def().assets_defs_by_key
    for name in (*DATA, *MONITORING):
        assert graph[dg.AssetKey(name)].backfill_policy == dg.BackfillPolicy.single_run()
    for name in MODELS:
        assert graph[dg.AssetKey(name)].backfill_policy == dg.BackfillPolicy.multi_run(1)


def test_dagster_finds_and_validates_the_project_from_its_checkout(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)}
    result = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
