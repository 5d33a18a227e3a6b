from __future__ import annotations

from pathlib import Path

import pytest

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.promotion import decide
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week

OLD, WEEK, NEW = "2026-10-05", "2026-10-12", "2026-10-19"
PASSED = Verdict("pass", "Better.")


@pytest.fixture
def registry(database_url: str) -> ModelRegistry:
    return ModelRegistry(database_url)


def registered(registry: ModelRegistry, week: str, verdict: Verdict | None = PASSED) -> str:
    version = f"{week}-abcdef01"
    status = "rejected" if verdict and verdict.status == "fail" else "candidate"
    registry.register(ModelVersion(version, Week(week), "tiny", verdict=verdict, status=status))
    return version


def policy(week: str, *, trained: bool = True) -> Artifact:
    return Artifact("grpo_policy", week, "0", Path(), {"trained": trained, "version": f"{week}-abcdef01"})


def evaluation(week: str, verdict: Verdict = PASSED, incumbent: str | None = None) -> Artifact:
    manifest = {"candidate": f"{week}-abcdef01", "incumbent": incumbent, "verdict": verdict.as_manifest()}
    return Artifact("policy_evaluation", week, "0", Path(), manifest)


def test_a_candidate_that_passed_is_promoted_and_asking_again_changes_nothing(registry: ModelRegistry) -> None:
    version = registered(registry, WEEK)
    for _ in range(2):
        promoted, verdict = decide(registry, policy(WEEK), evaluation(WEEK))
        assert promoted
        assert verdict == Verdict("pass", f"{version} is the champion: Better.")


@pytest.mark.parametrize("status", ["fail", "inconclusive"])
def test_a_candidate_that_did_not_pass_leaves_the_incumbent(registry: ModelRegistry, status: str) -> None:
    first = registered(registry, OLD)
    decide(registry, policy(OLD), evaluation(OLD))
    said = Verdict(status, "Not better.")  # type: ignore[arg-type]
    registered(registry, WEEK, said)
    promoted, verdict = decide(registry, policy(WEEK), evaluation(WEEK, said, first))
    assert (promoted, verdict.status) == (False, status)
    assert verdict.reason.startswith(f"{first} stays champion.")
    champion = registry.champion()
    assert champion is not None
    assert champion.version == first


def test_an_older_week_never_replaces_a_newer_champion(registry: ModelRegistry) -> None:
    newer = registered(registry, NEW)
    decide(registry, policy(NEW), evaluation(NEW))
    registered(registry, OLD)
    promoted, verdict = decide(registry, policy(OLD), evaluation(OLD, incumbent=newer))
    assert not promoted
    assert "older than the champion" in verdict.reason


def test_evidence_against_another_model_than_the_one_in_use_counts_for_nothing(registry: ModelRegistry) -> None:
    registered(registry, OLD)
    decide(registry, policy(OLD), evaluation(OLD))
    registered(registry, WEEK)
    promoted, verdict = decide(registry, policy(WEEK), evaluation(WEEK, incumbent=None))
    assert not promoted
    assert "was compared with no champion instead" in verdict.reason


def test_an_evaluation_of_another_policy_counts_for_nothing(registry: ModelRegistry) -> None:
    registered(registry, WEEK)
    other = evaluation(WEEK)
    other.manifest["candidate"] = f"{WEEK}-00000000"
    promoted, verdict = decide(registry, policy(WEEK), other)
    assert not promoted
    assert "was not evaluated yet" in verdict.reason


def test_an_untrained_week_carries_the_incumbent_forward(registry: ModelRegistry) -> None:
    skipped = Verdict("skipped", "Nothing to evaluate: 3 of 100 new pairs: not trained")
    promoted, verdict = decide(registry, policy(WEEK, trained=False), evaluation(WEEK, skipped))
    assert not promoted
    assert verdict == Verdict("skipped", f"There is no champion yet. {skipped.reason}")
