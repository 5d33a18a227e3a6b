from __future__ import annotations

import polars as pl
import pytest

from grpo_pipeline.backtest.next_week import SEEN_PERSON, SEEN_PROMPT
from grpo_pipeline.backtest.outcome import ALL, IN_USE, POOLED, UNSEEN, BacktestWeek, outcome_table
from grpo_pipeline.gates.settings import GateSettings
from grpo_pipeline.plots import backtest_weeks
from grpo_pipeline_tests.gates.simulated import simulated_scores

SETTINGS = GateSettings(resamples=500)
METRIC = "contrastive_similarity"


def week(number: int, gain: float, models: tuple[str, ...] = ("base", "candidate"), seen: int = 20) -> BacktestWeek:
    scores = simulated_scores(number, shifts={"candidate": {METRIC: gain}}, models=models, contributor_spread=0.02)
    scores = scores.with_columns(pl.col("pair_id") + f" of week {number}")
    ids = scores["pair_id"].unique().sort()
    known = [index < seen for index in range(len(ids))]
    pairs = pl.DataFrame({"id": ids, SEEN_PERSON: known, SEEN_PROMPT: [False] * len(ids)})
    key = f"2026-10-{5 + 7 * number:02d}"
    return BacktestWeek(key, f"2026-10-{12 + 7 * number:02d}", f"{key}-abcdef01", "sft", True, None, scores, pairs)


def row(table: pl.DataFrame, week: str, group: str = ALL, against: str = IN_USE) -> dict[str, object]:
    chosen = table.filter(
        pl.col("week") == week,
        pl.col("pairs_of") == group,
        pl.col("against") == against,
        pl.col("metric") == METRIC,
    )
    return chosen.row(0, named=True)


@pytest.mark.parametrize(("gain", "said"), [(0.2, "yes"), (-0.2, "no: worse"), (0.0, "not shown")])
def test_a_week_helped_where_its_interval_says_so(gain: float, said: str) -> None:
    table = outcome_table([week(0, gain)], SETTINGS)
    assert row(table, "2026-10-05")["helped"] == said


def test_pairs_that_training_could_have_known_are_in_all_and_not_in_unseen() -> None:
    table = outcome_table([week(0, 0.1, seen=20)], SETTINGS)
    assert row(table, "2026-10-05")["pairs"] == 45
    assert row(table, "2026-10-05", UNSEEN)["pairs"] == 25
    nobody = outcome_table([week(0, 0.1, seen=45)], SETTINGS)
    assert set(nobody["pairs_of"]) == {ALL}


def test_over_all_weeks_the_same_people_count_once_and_the_interval_is_narrower() -> None:
    weeks = [week(number, 0.1) for number in range(3)]
    table = outcome_table(weeks, SETTINGS)
    one, pooled = row(table, "2026-10-05"), row(table, POOLED)
    assert (pooled["pairs"], pooled["contributors"]) == (3 * 45, 15)
    assert float(str(pooled["high"])) - float(str(pooled["low"])) < float(str(one["high"])) - float(str(one["low"]))


def test_what_was_in_use_is_the_champion_or_the_base_model_before_there_was_one() -> None:
    first, later = week(0, 0.2), week(1, 0.2, ("base", "incumbent", "candidate"))
    table = outcome_table([first, later], SETTINGS)
    assert row(table, "2026-10-05")["difference"] == row(table, "2026-10-05", against="base")["difference"]
    assert row(table, "2026-10-12")["difference"] != row(table, "2026-10-12", against="base")["difference"]
    assert row(table, POOLED)["pairs"] == 90


def test_nothing_to_tell_is_an_empty_table_and_no_plot() -> None:
    table = outcome_table([], SETTINGS)
    assert table.is_empty()
    assert backtest_weeks(table.to_dicts()) is None
    drawn = backtest_weeks(outcome_table([week(0, 0.1), week(1, -0.1)], SETTINGS).to_dicts())
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) < 50_000
