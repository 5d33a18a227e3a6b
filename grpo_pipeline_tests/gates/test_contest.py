from __future__ import annotations

import polars as pl
import pytest

from grpo_pipeline.gates.contest import Contest, choose, contest_markdown, contest_table, hold_contest
from grpo_pipeline.gates.report import contest_json, verdict_json
from grpo_pipeline.gates.settings import GateSettings
from grpo_pipeline.gates.tables import COMPARISONS_SCHEMA, LEVELS_SCHEMA, WEEKS_SCHEMA
from grpo_pipeline.gates.verdict import PromotionVerdict, promotion_verdict
from grpo_pipeline.verdict import Status
from grpo_pipeline_tests.gates.simulated import simulated_scores

SETTINGS = GateSettings(resamples=500)
UNDATED = (pl.DataFrame(schema=WEEKS_SCHEMA), None, 0)
METHODS = {"sft": "sft", "dpo": "dpo", "grpo_after_warm_start": "candidate"}


def contest_on(scores: pl.DataFrame, models: dict[str, str]) -> Contest:
    def judge(own: pl.DataFrame, rivals: int) -> PromotionVerdict:
        return promotion_verdict(own, SETTINGS, rivals=rivals)

    return hold_contest(scores, models, judge, SETTINGS.primary_metrics[0])


def verdict(status: Status, gain: float, against: str = "incumbent") -> PromotionVerdict:
    row = {
        "metric": "preference_accuracy",
        "label": "preference accuracy",
        "role": "primary",
        "against": against,
        "state": "shown",
        "difference": gain,
        "confidence": 0.95,
        "pairs": 50,
        "contributors": 10,
    }
    comparisons = pl.DataFrame([row], schema=COMPARISONS_SCHEMA)
    return PromotionVerdict(status, "Because.", pl.DataFrame(schema=LEVELS_SCHEMA), comparisons, {}, 50, 10, *UNDATED)


@pytest.mark.parametrize(
    ("verdicts", "chosen"),
    [
        ({"sft": ("pass", 0.1), "dpo": ("pass", 0.2), "grpo": ("pass", 0.15)}, "dpo"),
        ({"sft": ("pass", 0.1), "dpo": ("fail", 0.3), "grpo": ("inconclusive", 0.2)}, "sft"),
        ({"sft": ("pass", 0.2), "dpo": ("pass", 0.2), "grpo": ("pass", 0.2)}, "sft"),
        ({"sft": ("inconclusive", 0.2), "dpo": ("pass", 0.1), "grpo": ("pass", 0.1)}, "dpo"),
        ({"sft": ("pass", 0.1 + 0.2), "grpo": ("pass", 0.3)}, "sft"),
        ({"sft": ("fail", 0.5), "dpo": ("inconclusive", -0.1), "grpo": ("inconclusive", 0.0)}, "grpo"),
        ({"sft": ("fail", -0.5), "dpo": ("fail", -0.2)}, "dpo"),
    ],
)
def test_the_best_that_passes_is_taken_and_the_simpler_one_where_they_gain_the_same(
    verdicts: dict[str, tuple[Status, float]], chosen: str
) -> None:
    judged = {name: verdict(status, gain) for name, (status, gain) in verdicts.items()}
    assert choose(judged, "preference_accuracy") == chosen


def test_a_gain_over_the_incumbent_counts_and_one_over_base_only_where_there_is_no_incumbent() -> None:
    both = verdict("pass", 0.1)
    more = pl.concat([verdict("pass", 0.9, "base").comparisons, both.comparisons])
    first = PromotionVerdict("pass", "Because.", both.table, more, {}, 50, 10, *UNDATED)
    assert choose({"sft": first, "dpo": verdict("pass", 0.2)}, "preference_accuracy") == "dpo"
    assert (
        choose({"sft": verdict("pass", 0.1, "base"), "dpo": verdict("pass", 0.2, "base")}, "preference_accuracy")
        == "dpo"
    )


@pytest.mark.parametrize(("rivals", "confidence"), [(1, 0.975), (2, 0.9875), (5, 0.995)])
def test_what_may_promote_is_shared_among_the_candidates_and_what_may_refuse_is_not(
    rivals: int, confidence: float
) -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}})
    found, alone = promotion_verdict(scores, SETTINGS, rivals=rivals), promotion_verdict(scores, SETTINGS)
    used = {(row["role"], round(row["confidence"], 6)) for row in found.comparisons.iter_rows(named=True)}
    assert {value for role, value in used if role == "primary"} == {confidence}
    assert {value for role, value in used if role == "guard"} == {0.95}
    assert found.table.equals(alone.table)
    assert found.evidence is not None
    assert alone.evidence is not None
    assert found.evidence.e_value == alone.evidence.e_value
    assert found.evidence.threshold == pytest.approx(rivals * alone.evidence.threshold)


def test_one_candidate_alone_is_judged_as_before() -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}})
    contest = contest_on(scores, {"grpo_after_warm_start": "candidate"})
    alone = promotion_verdict(scores, SETTINGS)
    assert contest.verdict == alone.verdict
    assert verdict_json(contest.verdicts[contest.chosen]) == verdict_json(alone)


def test_every_candidate_is_judged_without_the_others_at_the_shared_confidence() -> None:
    scores = simulated_scores(
        1,
        models=("base", "incumbent", "sft", "dpo", "candidate"),
        shifts={"sft": {"contrastive_similarity": 0.2}, "candidate": {"contrastive_similarity": 0.3}},
    )
    contest = contest_on(scores, METHODS)
    assert {name: item.status for name, item in contest.verdicts.items()} == {
        "sft": "pass",
        "dpo": "inconclusive",
        "grpo_after_warm_start": "pass",
    }
    own = scores.filter(pl.col("model").is_in(["base", "incumbent", "sft"]))
    alone = promotion_verdict(own.with_columns(pl.col("model").replace("sft", "candidate")), SETTINGS, rivals=3)
    assert verdict_json(contest.verdicts["sft"]) == verdict_json(alone)
    assert contest.verdict.reason.endswith(
        "Other methods: "
        + ", ".join(f"{name} {item.status}" for name, item in contest.verdicts.items() if name != contest.chosen)
        + "."
    )


def test_the_table_has_every_method_once_per_metric_after_the_models_they_are_compared_with() -> None:
    scores = simulated_scores(1, models=("base", "incumbent", "sft", "dpo", "candidate"))
    contest = contest_on(scores, METHODS)
    table = contest_table(contest)
    assert table["method"].unique(maintain_order=True).to_list() == ["base", "incumbent", *METHODS]
    assert table.select("method", "metric").is_duplicated().sum() == 0
    decisive = table.filter(pl.col("metric") == "preference_accuracy")
    assert decisive["against"].to_list() == [None, None, "incumbent", "incumbent", "incumbent"]
    assert decisive.filter(pl.col("difference").is_not_null())["confidence"].round(6).unique().to_list() == [0.991667]
    lines = contest_markdown(table, SETTINGS.primary_metrics).splitlines()
    assert len(lines) == 2 + 2 * 5
    assert contest_json(contest)["candidates"]["dpo"]["status"] == contest.verdicts["dpo"].status


def test_without_a_single_pair_nothing_is_decided() -> None:
    scores = simulated_scores(1, models=("base", "candidate")).clear()
    contest = contest_on(scores, METHODS)
    assert contest.verdict.status == "inconclusive"
    assert contest_table(contest).is_empty()
