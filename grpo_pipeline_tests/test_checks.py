from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.checks import (
    Finding,
    candidate_is_better,
    champion_can_be_used,
    every_row_is_accounted_for,
    no_week_is_missing,
    nothing_leaks,
    nothing_looks_like_poisoning,
    rows_lie_in_their_week,
    summed_up,
    training_is_healthy,
    will_it_learn,
)
from grpo_pipeline.dataset.build import ROW_SCHEMA
from grpo_pipeline.gates.training_health import training_health
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEK = Week("2026-10-05")
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
GOOD_STEP = {"phase": "GRPO", "step": 1, "reward": 0.2, "loss": 0.1, "grad_norm": 0.3, "frac_reward_zero_std": 0.1}


def artifact(folder: Path, asset: str, **manifest: object) -> Artifact:
    return Artifact(asset, WEEK.key, "0" * 16, folder, manifest)


def pair(name: str, person: str, asked: str) -> dict[str, Any]:
    row = dict.fromkeys(ROW_SCHEMA)
    return {**row, "id": name, "contributor": person, "prompt": [{"role": "user", "content": asked}]}


def dataset(folder: Path, train: list[dict[str, Any]], held_out: list[dict[str, Any]], by: str) -> Artifact:
    for name, rows in (("train", train), ("held_out", held_out)):
        pl.DataFrame(rows, schema=ROW_SCHEMA).write_parquet(folder / f"{name}.parquet")
    return artifact(folder, "preference_dataset", settings={"hold_out_by": by})


@pytest.mark.parametrize(("hours", "broken"), [(0, False), (167, False), (168, True), (-1, True)])
def test_a_row_outside_its_week_is_an_error(tmp_path: Path, hours: int, broken: bool) -> None:
    moment = WEEK.start + timedelta(hours=hours)
    pl.DataFrame({"created_at": [WEEK.start, moment]}).write_parquet(tmp_path / "pairs.parquet")
    found = rows_lie_in_their_week(artifact(tmp_path, "preference_pairs"))
    assert found.severity == (ERROR if broken else None)


def test_a_row_that_is_neither_kept_nor_quarantined_is_an_error(tmp_path: Path) -> None:
    counts = {
        "pairs": 3,
        "votes": 0,
        "quarantined": 1,
        "preference_pairs.read": 4,
        "preference_pairs.kept": 3,
        "preference_pairs.too_short": 1,
        "agent_feedback.read": 0,
        "agent_feedback.kept": 0,
    }
    assert every_row_is_accounted_for(artifact(tmp_path, "curated_pairs", counts=counts)).severity is None
    lost = every_row_is_accounted_for(
        artifact(tmp_path, "curated_pairs", counts={**counts, "preference_pairs.read": 5})
    )
    assert lost.severity == ERROR
    assert "4 of 5 rows" in lost.text


def test_pairs_set_aside_as_poisoning_are_shown_to_a_person(tmp_path: Path) -> None:
    counts = {"preference_pairs.read": 40, "preference_pairs.kept": 35, "preference_pairs.too_short": 1}
    assert nothing_looks_like_poisoning(artifact(tmp_path, "curated_pairs", counts=counts)).severity is None
    suspect = {**counts, "preference_pairs.mislabeled": 1, "preference_pairs.repeated_answer": 3}
    found = nothing_looks_like_poisoning(artifact(tmp_path, "curated_pairs", counts=suspect))
    assert found.severity == WARN
    assert "4 of 40 pairs" in found.text
    assert "3 repeated_answer, 1 mislabeled" in found.text


@pytest.mark.parametrize(
    ("held_out", "by", "said"),
    [
        (pair("b", "person 2", "another question"), "contributor", None),
        (pair("b", "person 2", "a question"), "prompt", "1 prompts"),
        (pair("b", "person 1", "another question"), "contributor", "1 people"),
        (pair("b", "person 1", "another question"), "prompt", None),
    ],
)
def test_what_is_in_training_and_held_out_is_a_leak(
    tmp_path: Path, held_out: dict[str, Any], by: str, said: str | None
) -> None:
    found = nothing_leaks(dataset(tmp_path, [pair("a", "person 1", "a question")], [held_out], by))
    assert found.severity == (ERROR if said else None)
    assert said is None or said in found.text


def test_missing_weeks_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    found = no_week_is_missing(artifact(tmp_path, "preference_dataset", missing_weeks=["2026-09-21", "2026-09-28"]))
    assert found.severity == WARN
    assert "2 weeks" in found.text
    assert "--from 2026-09-21 --to 2026-10-05 --data-only" in found.text


@pytest.mark.parametrize(
    ("step", "status"),
    [
        (GOOD_STEP, "pass"),
        ({**GOOD_STEP, "frac_reward_zero_std": 0.9}, "inconclusive"),
        ({**GOOD_STEP, "completions/clipped_ratio": 0.8}, "inconclusive"),
        ({**GOOD_STEP, "grad_norm": None}, "fail"),
        ({"phase": "warm start", "step": 1, "loss": 1.0}, "fail"),
    ],
)
def test_training_is_judged_by_its_own_numbers(tmp_path: Path, step: dict[str, Any], status: str) -> None:
    assert training_health([step]).status == status
    (tmp_path / "metrics.jsonl").write_text(json.dumps(step) + "\n")
    found = training_is_healthy(artifact(tmp_path, "grpo_policy", trained=True, version="2026-10-05-abcdef01"))
    assert found.severity == {"pass": None, "inconclusive": WARN, "fail": ERROR}[status]


@pytest.mark.parametrize(("broken", "severity"), [((), None), (("sft",), WARN), (("sft", "dpo"), ERROR)])
def test_one_method_that_broke_is_a_warning_and_only_all_of_them_stop_the_week(
    tmp_path: Path, broken: tuple[str, ...], severity: dg.AssetCheckSeverity | None
) -> None:
    candidates = []
    for method in ("sft", "dpo"):
        step = {"phase": "Phase", "step": 1, "loss": 0.1, "grad_norm": None if method in broken else 0.3}
        (tmp_path / method).mkdir()
        (tmp_path / method / "metrics.jsonl").write_text(json.dumps(step) + "\n")
        candidates.append({"method": method, "folder": method, "adapter_sha256": method * 8})
    found = training_is_healthy(artifact(tmp_path, "grpo_policy", trained=True, candidates=candidates))
    assert found.severity == severity
    assert "- sft: " in found.text
    assert "- dpo: " in found.text


@pytest.mark.parametrize(
    ("manifest", "severity", "said"),
    [
        ({"trained": True, "preflight": {"grpo": {"go": True, "reason": "Go: 8 of 8."}}}, None, "Go: 8 of 8."),
        ({"trained": True, "preflight": {"grpo": {"go": False, "reason": "No-go: 0 of 8."}}}, WARN, "No-go: 0 of 8."),
        ({"trained": True}, None, "No pre-flight was made."),
        ({"trained": False, "preflight": {"grpo": {"go": True, "reason": "Go."}}}, WARN, "Over the cap."),
        ({"trained": False}, None, "Over the cap."),
    ],
)
def test_what_the_preflight_said_is_shown_and_stops_nothing(
    tmp_path: Path, manifest: dict[str, Any], severity: dg.AssetCheckSeverity | None, said: str
) -> None:
    verdict = {"status": "skipped", "reason": "Over the cap."}
    found = will_it_learn(artifact(tmp_path, "grpo_policy", **manifest, verdict=verdict))
    assert (found.text, found.severity) == (said, severity)


def test_a_policy_without_grpo_is_not_judged_by_samples_it_never_took(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"phase": "Warm start", "loss": 1.0, "grad_norm": 0.1}) + "\n")
    manifest = {"trained": True, "version": "2026-10-05-abcdef01", "grpo": {"ran": False, "reason": "No-go."}}
    assert training_is_healthy(artifact(tmp_path, "grpo_policy", **manifest)).severity is None


def test_a_candidate_that_was_refused_is_a_warning_and_stops_nothing(tmp_path: Path) -> None:
    refused = {"status": "fail", "reason": "Worse than the incumbent."}
    assert candidate_is_better(artifact(tmp_path, "policy_evaluation", verdict=refused)).severity == WARN


def test_a_champion_without_its_files_is_an_error(tmp_path: Path) -> None:
    verdict = {"status": "pass", "reason": "It is the champion."}
    known = {"champion": "2026-10-05-ab", "adapter_location": str(tmp_path), "verdict": verdict}
    assert champion_can_be_used(artifact(tmp_path, "champion", **known)).severity == ERROR
    (tmp_path / "adapter_config.json").write_text("{}")
    assert champion_can_be_used(artifact(tmp_path, "champion", **known)).severity is None


def test_the_weeks_of_one_run_are_summed_up_by_the_worst_of_them() -> None:
    findings = {"2026-10-05": Finding("fine"), "2026-10-12": Finding("few", WARN), "2026-10-19": Finding("lost", ERROR)}
    result = summed_up(findings)
    assert (result.passed, result.severity) == (False, ERROR)
    assert result.description == "2 of 3 weeks:\n- 2026-10-12: few\n- 2026-10-19: lost"
    assert summed_up({"2026-10-05": Finding("fine")}).passed


def test_a_red_check_stops_the_week_in_its_run_and_a_yellow_one_does_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_edits(project.url, WEEK, 8)
    assert project.run("weekly_training_job", WEEK.key).success
    yellow = project.manifest("champion", WEEK.key)
    assert yellow["verdict"]["status"] == "skipped"

    published = ArtifactStore.publish

    def forgets_a_row(
        self: ArtifactStore, draft: Path, asset: str, week: str, manifest: dict[str, Any], *, keep_older: bool = False
    ) -> Artifact:
        if asset == "curated_pairs":
            manifest["counts"]["preference_pairs.read"] += 1
        return published(self, draft, asset, week, manifest, keep_older=keep_older)

    monkeypatch.setattr(ArtifactStore, "publish", forgets_a_row)
    red = project.run("weekly_training_job", WEEK.key)
    assert not red.success
    failed = [check for check in red.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity) for check in failed] == [("every_row_is_accounted_for", ERROR)]
    assert not red.asset_materializations_for_node("preference_dataset")
