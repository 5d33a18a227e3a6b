"""Where review is required, a week trains on the dataset that a person signed off, and on no other."""

from __future__ import annotations

import psycopg
import pytest

from grpo_pipeline.assets.trained_pairs import training_decision
from grpo_pipeline.automation import decision_on
from grpo_pipeline.registry.sign_offs import SignOffs
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEK = Week("2026-10-05")
OTHER_HASH = "0123456789abcdef"


def approve(project: Project, count: int) -> None:
    """Approve the first pairs of the week, as a reviewer would."""
    with psycopg.connect(project.url) as connection:
        connection.execute(
            "update preference_pairs set review_status = 'approved' where id in"
            " (select id from preference_pairs order by created_at limit %s)",
            (count,),
        )


def decision(project: Project) -> Verdict:
    dataset = project.artifacts.require("preference_dataset", WEEK.key)
    return training_decision(dataset, project.artifacts, project.registry, SignOffs(project.url), WEEK)


def decided(project: Project) -> str | None:
    return decision_on(project.artifacts, WEEK, SignOffs(project.url).last(WEEK))


def test_only_the_very_dataset_that_was_signed_off_trains(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_CURATION__REVIEW", "required")
    add_edits(project.url, WEEK, 60)
    approve(project, 50)
    assert project.run("weekly_training_job", WEEK.key).success
    policy = project.manifest("grpo_policy", WEEK.key)
    signable = project.manifest("preference_dataset", WEEK.key)["dataset_hash"]
    assert not policy["trained"]
    assert policy["verdict"]["reason"] == (
        f"Dataset {signable} waits for a person: nobody signed it off. Sign off on the review page "
        "/week/2026-10-05, then train the week again."
    )
    assert policy["verdict"]["reason"] in project.manifest("champion", WEEK.key)["verdict"]["reason"]
    assert "waits for a person" in project.manifest("reward_model", WEEK.key)["verdict"]["reason"]
    assert decided(project) == policy["verdict"]["reason"]

    SignOffs(project.url).sign(WEEK, OTHER_HASH, "Ada")
    assert decision(project).reason.startswith(f"Dataset {signable} waits for a person: signed off was {OTHER_HASH}.")
    assert decided(project) is not None
    SignOffs(project.url).sign(WEEK, signable, "Ada")
    assert decision(project).passed
    assert decided(project) is None

    approve(project, 60)
    assert project.run("data_job", WEEK.key).success
    assert project.manifest("preference_dataset", WEEK.key)["dataset_hash"] != signable
    assert not decision(project).passed


def test_where_no_review_is_required_nothing_waits_for_a_person(project: Project) -> None:
    add_edits(project.url, WEEK, 60)
    assert project.run("data_job", WEEK.key).success
    assert decision(project).passed


def test_too_few_pairs_are_named_before_the_missing_sign_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_CURATION__REVIEW", "required")
    add_edits(project.url, WEEK, 20)
    approve(project, 10)
    assert project.run("data_job", WEEK.key).success
    assert "of 20 new pairs" in decision(project).reason
