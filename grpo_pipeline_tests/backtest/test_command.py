from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from grpo_pipeline.cli.app import app
from grpo_pipeline.config import load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEKS = ("2026-10-05", "2026-10-12", "2026-10-19")
TEXTS = {"pairs.parquet", "answers.parquet", "completions"}


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["backtest", "--from", WEEKS[0], "--to", WEEKS[1], *arguments])
    return result.exit_code, result.output


@pytest.mark.slow
def test_past_weeks_are_trained_or_found_scored_on_the_next_and_not_done_twice(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "instance"))
    (tmp_path / "instance").mkdir()
    for week in WEEKS:
        add_edits(project.url, Week(week), 40)
    assert project.run("weekly_training_job", WEEKS[0]).success
    before = project.registry.list()

    code, said = run("--no-train")
    assert code == 0, said
    assert "left out 2026-10-12: nothing was trained; --train trains it now" in said

    code, said = run()
    assert code == 0, said
    assert project.registry.list() == before
    folder = project.home / "backtests"
    report = folder / f"{WEEKS[0]}_{WEEKS[1]}"
    assert {path.name for path in report.iterdir()} == {"backtest.json", "backtest.parquet", "backtest.png"}
    outcome = pl.read_parquet(report / "backtest.parquet")
    assert outcome["week"].unique(maintain_order=True).to_list() == [*WEEKS[:2], "all weeks"]
    first, second = (outcome.filter(pl.col("week") == week).row(0, named=True) for week in WEEKS[:2])
    assert (first["trained_now"], second["trained_now"]) == (False, True)
    assert first["version"] == project.manifest("policy_evaluation", WEEKS[0])["candidate"]
    assert first["verdict_then"] == project.manifest("policy_evaluation", WEEKS[0])["verdict"]["status"]
    assert first["pairs"] + second["pairs"] == outcome.filter(pl.col("week") == "all weeks")["pairs"][0]
    assert json.loads((report / "backtest.json").read_text())["left_out"] == {}
    assert not [path for path in folder.rglob("*") if path.name in TEXTS]

    unset = CliRunner().invoke(app, ["backtest"])
    assert unset.exit_code == 0, unset.output
    assert "Week 2026-10-05 (1 of 2)" in unset.output
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*/output/*")}
    code, said = run()
    assert code == 0, said
    assert "training" not in said
    assert "scoring" not in said
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*/output/*")} == made
    with dg.DagsterInstance.get() as instance:
        shown = instance.get_latest_materialization_event(dg.AssetKey("backtest"))
    assert shown is not None
    assert shown.asset_materialization is not None
    assert "would it have helped" in shown.asset_materialization.metadata


def test_a_backtest_without_anything_to_score_says_what_is_missing(project: Project) -> None:
    result = CliRunner().invoke(app, ["backtest"])
    assert isinstance(result.exception, PipelineError)
    assert "needs pairs of two weeks" in str(result.exception)
    for week in WEEKS[:2]:
        add_edits(project.url, Week(week), 2)
    last = load_settings().complete_weeks()[-1].key
    result = CliRunner().invoke(app, ["backtest", "--from", WEEKS[0], "--to", last])
    assert isinstance(result.exception, PipelineError)
    assert "has no complete week after it" in str(result.exception)
