from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.candidates import candidate_named, candidates_of
from grpo_pipeline.assets.training import policies_hash, starting_champion
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.registry.models import model

WEEK = "2026-10-12"


def policy(**manifest: Any) -> Artifact:  # noqa: ANN401
    return Artifact("grpo_policy", WEEK, "0" * 16, Path("/policies"), {"trained": True, **manifest})


def made(method: str, digest: str, folder: str = ".") -> dict[str, str]:
    return {"method": method, "adapter_sha256": digest * 16, "folder": folder}


def test_a_week_from_before_there_were_methods_has_one_candidate_at_the_top() -> None:
    (found,) = candidates_of(policy(version=f"{WEEK}-abcd0123"))
    assert (found.method, found.version) == ("grpo_after_warm_start", f"{WEEK}-abcd0123")
    assert found.adapter == Path("/policies/adapter")
    assert candidates_of(policy(trained=False)) == []


def test_every_method_is_a_candidate_but_for_one_that_came_to_the_same_adapter() -> None:
    several = policy(
        candidates=[
            made("sft", "aaaa", "challengers/sft"),
            made("dpo", "bbbb", "challengers/dpo"),
            made("grpo_after_warm_start", "aaaa"),
        ]
    )
    assert [(item.method, item.version) for item in candidates_of(several)] == [
        ("sft", f"{WEEK}-aaaaaaaa"),
        ("dpo", f"{WEEK}-bbbbbbbb"),
    ]
    named = candidate_named(several, f"{WEEK}-bbbbbbbb")
    assert named is not None
    assert named.adapter == Path("/policies/challengers/dpo/adapter")
    assert candidate_named(several, f"{WEEK}-cccccccc") is None


def test_the_hash_of_a_weeks_policies_changes_with_any_of_them() -> None:
    one, two = made("sft", "aaaa"), made("dpo", "bbbb")
    assert policies_hash({"candidates": [one]}) == "aaaa" * 4
    several = policies_hash({"candidates": [one, two]})
    assert several != policies_hash({"candidates": [one, made("dpo", "cccc")]})
    assert len(several) == 16


@pytest.mark.parametrize(
    ("methods", "base", "found"),
    [
        (("sft", "from_champion"), "tiny-qwen3", True),
        (("sft", "from_champion"), "another model", False),
        (("sft",), "tiny-qwen3", False),
    ],
)
def test_training_goes_on_from_the_champion_of_an_earlier_week_on_the_same_base_model(
    database_url: str, methods: tuple[Any, ...], base: str, found: bool
) -> None:
    registry = ModelRegistry(database_url)
    for week in ("2026-10-05", WEEK):
        registered = registry.register(replace(model(week), base_model=base))
        registry.promote(registered.version, "pipeline", "better")
    champion = starting_champion(registry, Week(WEEK), TrainingSettings(profile="tiny", methods=methods))
    assert (champion.version if champion else None) == ("2026-10-05-aaaa1111" if found else None)
