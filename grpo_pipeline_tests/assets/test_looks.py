"""How often candidates were held against one incumbent, counted from the manifests of the evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.evaluation import next_look
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.weeks import Week

WEEKS = ["2026-10-05", "2026-10-12", "2026-10-19"]
CHAMPION = ModelVersion("2026-09-28-abcdef01", Week("2026-09-28"), "tiny")


def publish(store: ArtifactStore, week: str, **manifest: Any) -> None:  # noqa: ANN401
    with store.draft("policy_evaluation") as draft:
        store.publish(draft, "policy_evaluation", week, manifest)


def evaluated(store: ArtifactStore, week: str, incumbent: str | None, candidate: str = "a") -> int:
    look = next_look(store, CHAMPION if incumbent else None)
    publish(store, week, candidate=candidate, incumbent=incumbent, look=look)
    return look


def test_every_evaluation_against_the_same_incumbent_is_one_more_look(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert [evaluated(store, week, CHAMPION.version) for week in WEEKS] == [1, 2, 3]


def test_a_new_incumbent_and_the_base_model_are_counted_apart(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert evaluated(store, WEEKS[0], None) == 1
    publish(store, WEEKS[1], verdict={"status": "skipped", "reason": "Nothing to evaluate."})
    assert next_look(store, CHAMPION) == 1
    assert next_look(store, None) == 2


def test_evaluating_a_week_again_counts_although_the_earlier_evaluation_is_gone(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    looks = [evaluated(store, WEEKS[0], CHAMPION.version, candidate) for candidate in "abc"]
    assert looks == [1, 2, 3]
    assert len(store.versions("policy_evaluation")) == 1
