from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from grpo_pipeline.weeks import Week, weeks_between
from grpo_pipeline_tests.project import Project, failure_texts
from grpo_pipeline_tests.weekly_feedback import add_edits, delete_feedback

FIRST, SECOND, THIRD = (week.key for week in weeks_between(Week("2026-10-05"), Week("2026-10-19")))
DATA = ("agent_feedback", "preference_pairs", "curated_pairs", "preference_dataset")


def test_many_weeks_in_one_run_are_the_same_as_one_run_a_week(project: Project) -> None:
    for week in (FIRST, SECOND, THIRD):
        add_edits(project.url, Week(week), 12)
    assert project.run("data_job", FIRST, THIRD).success
    together = {asset: [project.manifest(asset, week)["hash"] for week in (FIRST, SECOND, THIRD)] for asset in DATA}
    for week in (FIRST, SECOND, THIRD):
        assert project.run("data_job", week).success
    apart = {asset: [project.manifest(asset, week)["hash"] for week in (FIRST, SECOND, THIRD)] for asset in DATA}
    assert together == apart
    assert all(project.materialized(asset) == {FIRST, SECOND, THIRD} for asset in DATA)


def test_every_week_of_one_run_has_its_own_counts_and_its_fingerprint_as_data_version(project: Project) -> None:
    add_edits(project.url, Week(FIRST), 5)
    add_edits(project.url, Week(SECOND), 9)
    project.run("data_job", FIRST, SECOND)
    for week, rows in ((FIRST, 5), (SECOND, 9)):
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("preference_pairs"), asset_partitions=[week])
        record = project.instance.fetch_materializations(wanted, limit=1).records[0]
        event = record.asset_materialization
        assert event is not None
        assert event.metadata["rows"].value == rows
        fingerprint = project.store.fingerprints(Week(week), Week(week))["preference_pairs"][week]
        assert (event.tags or {})["dagster/data_version"] == fingerprint


def test_an_empty_week_goes_through_and_says_so(project: Project) -> None:
    assert project.run("data_job", FIRST).success
    assert project.manifest("preference_dataset", FIRST)["verdict"]["reason"] == "0 of 20 new pairs: not trained"


def test_a_dataset_names_the_weeks_it_lacks_and_only_those_that_have_pairs(project: Project) -> None:
    add_edits(project.url, Week(FIRST), 5)
    add_edits(project.url, Week(THIRD), 5)
    assert project.run("data_job", THIRD).success
    assert project.manifest("preference_dataset", THIRD)["missing_weeks"] == [FIRST]
    assert project.run("data_job", FIRST).success
    assert project.run("data_job", THIRD).success
    assert project.manifest("preference_dataset", THIRD)["missing_weeks"] == []


def test_a_week_whose_grace_is_not_over_fails_with_the_time_from_which_it_can_be_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_GRACE_HOURS", "1000000")
    failed = project.run("data_job", FIRST)
    assert not failed.success
    assert "it can be read from 2140" in failure_texts(failed)[0]
    assert project.artifacts.weeks("agent_feedback") == []


def test_no_user_text_is_in_the_event_log(project: Project) -> None:
    add_edits(project.url, Week(FIRST), 12)
    result = project.run("data_job", FIRST)
    texts = pl.read_parquet(project.artifacts.require("preference_pairs", FIRST).path / "pairs.parquet")
    logged = "\n".join(str(entry) for entry in project.instance.all_logs(result.run_id))
    assert not [text for column in ("prompt", "chosen", "rejected") for text in texts[column] if text in logged]


def test_deleted_rows_leave_every_week_that_was_made_from_them(project: Project) -> None:
    ids = add_edits(project.url, Week(FIRST), 12)
    add_edits(project.url, Week(SECOND), 12)
    project.run("data_job", FIRST, SECOND)
    prompts = pl.read_parquet(project.artifacts.require("agent_feedback", FIRST).path / "feedback.parquet")
    gone = prompts.filter(pl.col("id") == ids[0])["prompt"][0]
    delete_feedback(project.url, ids[:1])
    project.run("data_job", FIRST, SECOND)
    held = [path for path in project.artifacts.root.rglob("*.parquet") if gone in str(pl.read_parquet(path).to_dicts())]
    assert held == []
