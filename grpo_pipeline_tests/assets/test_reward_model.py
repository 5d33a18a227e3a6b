from __future__ import annotations

import dagster as dg
import pytest

from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEK, NEXT = "2026-10-05", "2026-10-12"


def checked(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    """What the check of the reward model said."""
    return next(check for check in result.get_asset_check_evaluations() if check.check_name == "reward_model_is_usable")


def processes_in(project: Project, run_id: str) -> int:
    """How many reward models a run made."""
    messages = [entry.user_message for entry in project.instance.all_logs(run_id)]
    return sum(message.startswith("Reward model on ") for message in messages)


@pytest.mark.slow
def test_a_reward_model_joins_training_only_where_it_passes_and_is_made_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_TRAINING__REWARD_WEIGHTS", "{}")
    # Held out by person, so few pairs of so few people would show nothing.
    monkeypatch.setenv("GRPO_DATASET__HOLD_OUT_BY", "prompt")
    for name in ("WARM_START_STEPS", "STEPS"):
        monkeypatch.setenv(f"GRPO_TRAINING__{name}", "2")
    monkeypatch.setenv("GRPO_EVALUATION__MAX_PAIRS", "2")
    add_edits(project.url, Week(WEEK), 90)
    first = project.run("weekly_training_job", WEEK)
    assert first.success
    assert processes_in(project, first.run_id) == 1
    made, policy = project.manifest("reward_model", WEEK), project.manifest("grpo_policy", WEEK)
    assert made["used"], made["verdict"]["reason"]
    assert policy["reward_model"] == {"used": True, "hash": made["hash"], "reason": made["verdict"]["reason"]}
    assert policy["model_rewards"]["reward_model"]["sha256"] == made["model_sha256"]
    assert checked(first).passed
    assert checked(first).description == made["verdict"]["reason"]

    again = project.run("weekly_training_job", WEEK)
    assert again.success
    assert processes_in(project, again.run_id) == 0
    assert project.manifest("grpo_policy", WEEK)["hash"] == policy["hash"]

    one_that_fails_its_gate_is_left_out(project, monkeypatch, policy["training_key"])
    a_week_that_trains_nothing_makes_none(project)


def one_that_fails_its_gate_is_left_out(project: Project, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("GRPO_REWARD_MODEL__MIN_CONTRIBUTORS", "50")
    run = project.run("weekly_training_job", WEEK)
    assert run.success
    made, policy = project.manifest("reward_model", WEEK), project.manifest("grpo_policy", WEEK)
    assert not made["used"]
    assert made["verdict"]["reason"].startswith("reward model not used: ")
    assert policy["reward_model"] == {"used": False, "hash": None, "reason": made["verdict"]["reason"]}
    assert policy["model_rewards"] == {}
    assert policy["training_key"] != key
    assert checked(run).passed
    assert checked(run).description == made["verdict"]["reason"]


def a_week_that_trains_nothing_makes_none(project: Project) -> None:
    add_edits(project.url, Week(NEXT), 5)
    run = project.run("weekly_training_job", NEXT)
    assert run.success
    assert processes_in(project, run.run_id) == 0
    made = project.manifest("reward_model", NEXT)
    assert made["verdict"]["status"] == "skipped"
    assert "of 20 new pairs since 2026-10-05: not trained" in made["verdict"]["reason"]
    assert checked(run).passed
