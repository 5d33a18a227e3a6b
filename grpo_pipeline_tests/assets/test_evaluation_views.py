from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.evaluation_views import evaluation_views
from grpo_pipeline.gates.report import verdict_json
from grpo_pipeline.gates.settings import GateSettings
from grpo_pipeline.gates.verdict import promotion_verdict
from grpo_pipeline_tests.gates.simulated import simulated_scores


def evaluated(folder: Path) -> Artifact:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}})
    one_each = scores.filter(pl.col("metric") == "preference_accuracy")
    probes = one_each.with_columns(metric=pl.lit("probe_format"), contributor=pl.lit(None, pl.String))
    dated = pl.concat([scores, probes]).with_columns(week=pl.lit("2026-10-05"))
    verdict = promotion_verdict(dated, GateSettings(resamples=500), look=3)
    content = {**verdict_json(verdict), "over_the_cap": 7}
    (folder / "evaluation.json").write_text(json.dumps(content), encoding="utf-8")
    manifest = {"candidate": "2026-10-05-abcdef01", "incumbent": None}
    return Artifact("policy_evaluation", "2026-10-05", "0", folder, manifest)


def test_the_ui_shows_the_evidence_the_weeks_and_the_regression_suite(tmp_path: Path) -> None:
    shown = evaluation_views(evaluated(tmp_path))
    assert shown["look at this incumbent"] == 3
    assert shown["e-value"] > shown["e-value needed"] > 100
    assert (shown["weeks pooled"], shown["held-out pairs over the cap"]) == (1, 7)
    assert {"held-out results", "regression suite", "differences by week"} <= set(shown)
    states = {record.data["metric"]: record.data["state"] for record in shown["differences"].records}
    assert states["contrastive_similarity"] == "better"
    assert "probe_format" in states
    assert "Look 3 at this incumbent" in shown["decision"].value


def test_a_week_without_an_evaluation_shows_nothing(tmp_path: Path) -> None:
    assert evaluation_views(Artifact("policy_evaluation", "2026-10-05", "0", tmp_path, {})) == {}
