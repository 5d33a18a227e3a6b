from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from grpo_pipeline.assets.candidates import candidates_of
from grpo_pipeline.gates.contest import CONTEST_SCHEMA
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project, failure_texts
from grpo_pipeline_tests.weekly_feedback import add_edits, delete_feedback

FIRST, SECOND = "2026-10-05", "2026-10-12"


def trainings_in(project: Project, run_id: str) -> int:
    """How many policies a run trained."""
    messages = [entry.user_message for entry in project.instance.all_logs(run_id)]
    return sum("The policy is finished" in message for message in messages)


@pytest.mark.slow
def test_a_week_is_trained_once_evaluated_and_decided_on(project: Project) -> None:
    ids = add_edits(project.url, Week(FIRST), 60)
    first = project.run("weekly_training_job", FIRST)
    assert first.success
    assert trainings_in(project, first.run_id) == 1
    policy = project.manifest("grpo_policy", FIRST)
    assert policy["trained"]
    assert [model.version for model in project.registry.list()] == [policy["version"]]
    assert project.manifest("policy_evaluation", FIRST)["candidate"] == policy["version"]
    champion = project.registry.champion()
    assert project.manifest("champion", FIRST)["promoted"] == (champion is not None)
    assert not (project.artifacts.root / ".working").exists() or not any(
        (project.artifacts.root / ".working").iterdir()
    )

    again = project.run("weekly_training_job", FIRST)
    assert again.success
    assert trainings_in(project, again.run_id) == 0
    assert project.manifest("grpo_policy", FIRST)["hash"] == policy["hash"]
    assert project.registry.champion() == champion

    no_text_in_the_events(project, [first.run_id, again.run_id])
    samples_of_deleted_pairs_are_erased(project, ids)
    too_few_new_pairs_carry_the_incumbent_forward(project)


@pytest.mark.slow
def test_three_methods_compete_in_one_week_and_each_is_registered_and_judged(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_TRAINING__METHODS", '["sft", "dpo", "grpo_after_warm_start"]')
    add_edits(project.url, Week(FIRST), 60)
    run = project.run("weekly_training_job", FIRST)
    assert run.success, failure_texts(run)
    policy, evaluation = (project.artifacts.require(name, FIRST) for name in ("grpo_policy", "policy_evaluation"))
    candidates = {candidate.version: candidate for candidate in candidates_of(policy)}
    assert [item.method for item in candidates.values()] == ["sft", "dpo", "grpo_after_warm_start"]
    registered = {model.version: model for model in project.registry.list()}
    assert set(registered) == set(candidates) == set(evaluation.manifest["candidates"])
    for version, model in registered.items():
        assert model.metrics["method"] == candidates[version].method
        assert model.verdict is not None
        assert model.verdict.as_manifest() == evaluation.manifest["candidates"][version]["verdict"]
        assert (Path(str(model.adapter_location)) / "adapter_config.json").exists()

    result = json.loads((evaluation.path / "evaluation.json").read_text())
    table = pl.DataFrame(result["contest"], schema=CONTEST_SCHEMA)
    assert table["method"].unique(maintain_order=True).to_list() == ["base", *result["candidates"]]
    scores = pl.read_parquet(evaluation.path / "scores.parquet")
    by_model = scores.filter(pl.col("metric") == "preference_margin").group_by("model").agg(pl.col("pair_id").sort())
    assert set(by_model["model"]) == {"base", "candidate", "sft", "dpo"}
    assert by_model["pair_id"].n_unique() == 1

    decision, champion = project.manifest("champion", FIRST), project.registry.champion()
    passed = {version for version, model in registered.items() if model.verdict and model.verdict.passed}
    assert decision["champion"] == (champion.version if champion else None)
    assert (champion is not None) == bool(passed)
    assert champion is None or champion.version in passed

    again = project.run("weekly_training_job", FIRST)
    assert again.success
    assert trainings_in(project, again.run_id) == 0
    assert project.manifest("policy_evaluation", FIRST)["hash"] == evaluation.hash


def no_text_in_the_events(project: Project, run_ids: list[str]) -> None:
    pairs = pl.read_parquet(project.artifacts.require("preference_pairs", FIRST).path / "pairs.parquet")
    logged = "\n".join(str(entry) for run_id in run_ids for entry in project.instance.all_logs(run_id))
    assert not [text for column in ("prompt", "chosen", "rejected") for text in pairs[column] if text in logged]


def samples_of_deleted_pairs_are_erased(project: Project, feedback_ids: list[str]) -> None:
    policy = project.artifacts.require("grpo_policy", FIRST)
    sampled = pair_ids_in(policy.path / "completions")
    evaluation = project.artifacts.require("policy_evaluation", FIRST)
    answered = pair_ids_in(evaluation.path)
    assert sampled
    assert answered
    delete_feedback(project.url, feedback_ids)
    assert project.run("data_job", FIRST).success
    assert pair_ids_in(policy.path / "completions") == set()
    assert pair_ids_in(evaluation.path) == set()


def pair_ids_in(folder: Path) -> set[str]:
    ids = {pair for path in folder.glob("*.parquet") for pair in pl.read_parquet(path, columns=["pair_id"])["pair_id"]}
    return {pair for pair in ids if not pair.startswith("probe_")}


def too_few_new_pairs_carry_the_incumbent_forward(project: Project) -> None:
    champion = project.registry.champion()
    add_edits(project.url, Week(SECOND), 5)
    run = project.run("weekly_training_job", SECOND)
    assert run.success
    assert trainings_in(project, run.run_id) == 0
    policy = project.manifest("grpo_policy", SECOND)
    assert not policy["trained"]
    assert "of 20 new pairs since 2026-10-05: not trained" in policy["verdict"]["reason"]
    assert project.manifest("policy_evaluation", SECOND)["verdict"]["status"] == "skipped"
    decision = project.manifest("champion", SECOND)
    assert decision["champion"] == (champion.version if champion else None)
    assert policy["verdict"]["reason"] in decision["verdict"]["reason"]
    assert project.materialized("champion") == {FIRST, SECOND}
