"""The demo's last table, from artifacts as the assets publish them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.demo.summary import (
    MetricLine,
    method_rows,
    methods_table,
    metric_lines,
    metrics_table,
    outcome_table,
    set_aside,
    summarize,
)
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.weeks import Week

WEEKS = [Week("2026-10-19"), Week("2026-10-26")]
CURATION = {
    "preference_pairs.read": 48,
    "preference_pairs.kept": 40,
    "preference_pairs.too_short": 1,
    "preference_pairs.near_duplicate": 7,
    "preference_pairs.contributor_cap": 0,
    "agent_feedback.read": 9,
    "agent_feedback.kept": 8,
    "agent_feedback.no_clear_vote": 1,
    "redacted.EMAIL": 2,
}
DATASET = {"train": 60, "held_out": 20, "excluded": 1, "mined": 3, "contributors_held_out": 9}
LEVELS = [
    {"metric": "preference_accuracy", "model": "base", "mean": 0.1},
    {"metric": "preference_accuracy", "model": "candidate", "mean": 0.9},
]
DIFFERENCE = {
    "metric": "preference_accuracy",
    "label": "preference accuracy",
    "difference": 0.8,
    "low": 0.6,
    "high": 0.9,
}


def publish(store: ArtifactStore, asset: str, week: Week, manifest: dict[str, Any], files: dict[str, Any]) -> None:
    with store.draft(asset) as draft:
        for name, content in files.items():
            (draft / name).write_text(json.dumps(content), encoding="utf-8")
        store.publish(draft, asset, week.key, manifest)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path)
    for week in WEEKS:
        publish(store, "agent_feedback", week, {"counts": {"rows": 60}}, {})
        publish(store, "curated_pairs", week, {"counts": CURATION}, {})
    publish(store, "preference_dataset", WEEKS[-1], {"counts": DATASET}, {})
    publish(store, "grpo_policy", WEEKS[-1], {"rewards": {"reward": {"first": 0.3, "last": 0.4}}}, {})
    verdict = {"status": "pass", "reason": "Credibly better."}
    content = {"levels": LEVELS, "comparisons": [{**DIFFERENCE, "against": "base"}]}
    publish(store, "policy_evaluation", WEEKS[-1], {"verdict": verdict}, {"evaluation.json": content})
    return store


def printed(*parts: object) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(*parts)
    return capture.get()


def test_counts_of_all_weeks_are_added_up(store: ArtifactStore) -> None:
    found = summarize(store, WEEKS, "2026-10-26-abcdef12")
    assert (found.feedback, found.pairs, found.kept, found.redacted) == (120, 96, 80, 4)
    assert found.set_aside == {"near_duplicate": 14, "too_short": 2}
    assert found.pairs == found.kept + sum(found.set_aside.values())


def test_only_pairs_count_as_set_aside_the_most_frequent_reason_first() -> None:
    counts = Counter(CURATION) + Counter({"preference_pairs.unchanged": 7, "agent_feedback.too_short": 3})
    assert list(set_aside(counts).items()) == [("near_duplicate", 7), ("unchanged", 7), ("too_short", 1)]


def test_the_table_says_what_was_decided_and_why(store: ArtifactStore) -> None:
    text = printed(outcome_table(summarize(store, WEEKS, "2026-10-26-abcdef12")))
    for part in (
        "2, from 2026-10-19 to 2026-10-26",
        "120 rows, of which 96 are pairs",
        "14 near_duplicate, 2 too_short",
        "60 training pairs, 20 held out (of 9 contributors)",
        "0.300 at the start of GRPO, 0.400 at its end",
        "pass: Credibly better.",
        "2026-10-26-abcdef12",
    ):
        assert part in text


def test_without_a_champion_the_base_model_stays_in_use(store: ArtifactStore) -> None:
    assert "the base model stays in use" in printed(outcome_table(summarize(store, WEEKS, None)))


def test_metrics_stand_beside_the_model_they_are_compared_with(store: ArtifactStore) -> None:
    text = printed(metrics_table(summarize(store, WEEKS, None)))
    assert "base" in text
    assert "0.100" in text
    assert "+0.600 to +0.900" in text


def test_an_incumbent_is_what_the_candidate_is_compared_with() -> None:
    levels = [*LEVELS, {"metric": "preference_accuracy", "model": "incumbent", "mean": 0.5}]
    comparisons = [{**DIFFERENCE, "against": "base"}, {**DIFFERENCE, "difference": 0.4, "against": "incumbent"}]
    assert metric_lines(levels, comparisons) == (
        "incumbent",
        [MetricLine("preference accuracy", 0.5, 0.9, 0.4, 0.6, 0.9)],
    )


def test_methods_stand_side_by_side_where_there_were_several(store: ArtifactStore) -> None:
    row = {"metric": "preference_accuracy", "label": "preference accuracy", "level": 0.8, "verdict": "pass"}
    base = {**row, "method": "base", "verdict": None} | dict.fromkeys(
        ("difference", "difference_low", "difference_high")
    )
    dpo = {**row, "method": "dpo", "difference": 0.7, "difference_low": 0.5, "difference_high": 0.9}
    content = {
        "candidates": {"sft": {}, "dpo": {}},
        "comparisons": [{**DIFFERENCE, "role": "primary"}, {"metric": "length_ratio", "role": "shown"}],
        "contest": [base, dpo, {**dpo, "metric": "length_ratio"}],
    }
    rows = method_rows(content)
    assert rows == [base, dpo]
    text = printed(methods_table(replace(summarize(store, WEEKS, None), methods=rows)))
    assert "+0.500 to +0.900" in text
    assert "dpo" in text
    assert method_rows({**content, "candidates": {"dpo": {}}}) == []


def test_a_week_that_was_not_made_is_named(store: ArtifactStore) -> None:
    with pytest.raises(PipelineError, match="2026-11-02"):
        summarize(store, [*WEEKS, Week("2026-11-02")], None)
