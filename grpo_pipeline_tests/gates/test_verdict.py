from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

import polars as pl
import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.gates.report import stored_verdict, verdict_json, verdict_markdown
from grpo_pipeline.gates.settings import GateSettings
from grpo_pipeline.gates.verdict import PromotionVerdict, promotion_verdict
from grpo_pipeline_tests.gates.simulated import simulated_scores

SETTINGS = GateSettings(resamples=1000)
TWO_MODELS = ("base", "candidate")


def decide(candidate: Mapping[str, float], *, seed: int = 1, **scores: object) -> PromotionVerdict:
    return promotion_verdict(simulated_scores(seed, shifts={"candidate": candidate}, **scores), SETTINGS)


def test_a_clear_improvement_over_the_incumbent_passes() -> None:
    found = decide({"contrastive_similarity": 0.3})
    assert found.status == "pass"
    assert "contrastive similarity +0.302 against the incumbent (97.5 % interval" in found.reason


def test_without_an_incumbent_the_base_model_is_the_one_to_beat() -> None:
    found = decide({"contrastive_similarity": 0.3}, models=TWO_MODELS)
    assert found.status == "pass"
    assert "against the base model" in found.reason


def test_no_difference_is_inconclusive_and_says_what_the_sample_could_have_shown() -> None:
    found = decide({}, contributor_spread=0.0)
    assert found.status == "inconclusive"
    assert "No credible improvement over the incumbent" in found.reason
    reach = found.minimum_detectable_effect["contrastive_similarity"]
    assert reach is not None
    assert 0.02 < reach < 0.2
    assert f"contrastive similarity {reach:.3g}" in found.reason


def test_a_primary_metric_that_is_credibly_worse_fails_even_beside_an_improvement() -> None:
    found = decide({"contrastive_similarity": 0.3, "preference_accuracy": -0.5})
    assert found.status == "fail"
    assert "Credibly worse: preference accuracy -0." in found.reason


@pytest.mark.parametrize(
    ("metric", "shift", "label"),
    [
        ("tool_call_accuracy", -0.4, "tool-call accuracy"),
        ("length_deviation", +0.9, "length deviation"),
        ("truncated", +0.4, "cut-off answers"),
    ],
)
def test_a_guard_metric_far_beyond_its_margin_fails(metric: str, shift: float, label: str) -> None:
    found = decide({"contrastive_similarity": 0.3, metric: shift})
    assert found.status == "fail"
    assert label in found.reason


def test_a_guard_metric_that_may_be_worse_keeps_an_improvement_from_passing() -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}}, contributor_spread=0.0)
    # Much worse for about half of the contributors, a little better for the others: -0.26 with an interval up to 0.
    contributor = pl.col("contributor").str.strip_prefix("contributor-").cast(pl.Int64)
    change = pl.when(contributor < 8).then(-0.7).otherwise(0.25)
    here = (pl.col("model") == "candidate") & (pl.col("metric") == "tool_call_accuracy")
    found = promotion_verdict(scores.with_columns(pl.col("value") + pl.when(here).then(change).otherwise(0)), SETTINGS)
    assert found.status == "inconclusive"
    assert "Better in contrastive similarity, but possibly worse elsewhere: tool-call accuracy" in found.reason


def test_a_guard_metric_within_its_margin_does_not_stop_a_promotion() -> None:
    found = decide(
        {"contrastive_similarity": 0.3, "tool_call_accuracy": -0.03}, contributor_spread=0.0, pair_spread=0.01
    )
    assert found.status == "pass"


def test_better_than_the_incumbent_but_credibly_worse_than_base_fails() -> None:
    shifts = {"base": {"contrastive_similarity": 0.6}, "candidate": {"contrastive_similarity": 0.3}}
    found = promotion_verdict(simulated_scores(1, shifts=shifts), SETTINGS)
    assert found.status == "fail"
    assert "against the base model" in found.reason


def test_better_than_the_incumbent_but_apparently_below_base_is_inconclusive() -> None:
    shifts = {"base": {"contrastive_similarity": 0.33}, "candidate": {"contrastive_similarity": 0.3}}
    found = promotion_verdict(simulated_scores(2, shifts=shifts, contributor_spread=0.05), SETTINGS)
    assert found.status == "inconclusive"
    assert "possibly worse elsewhere: contrastive similarity" in found.reason


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_fails_and_names_the_model(value: float) -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}})
    here = (pl.col("pair_id") == "pair-0-0") & (pl.col("model") == "candidate") & (pl.col("sample") == 0)
    found = promotion_verdict(
        scores.with_columns(pl.when(here).then(value).otherwise(pl.col("value")).alias("value")), SETTINGS
    )
    assert found.status == "fail"
    assert found.reason == "Values that are not finite numbers: the candidate on 1 of 45 held-out pairs."
    json.dumps(verdict_json(found), allow_nan=False)


def test_a_counted_non_finite_value_fails() -> None:
    scores = simulated_scores(1)
    counted = scores.filter(pl.col("metric") == "preference_accuracy").with_columns(
        metric=pl.lit("non_finite"), value=(pl.col("model") == "candidate").cast(pl.Float64)
    )
    found = promotion_verdict(pl.concat([scores, counted]), SETTINGS)
    assert found.status == "fail"
    assert "the candidate on 45 of 45" in found.reason


@pytest.mark.parametrize(("contributors", "pairs_each"), [(5, 10), (15, 1), (1, 40), (1, 1)])
def test_too_small_a_sample_is_inconclusive_and_says_what_is_needed(contributors: int, pairs_each: int) -> None:
    found = decide({"contrastive_similarity": 0.9}, contributors=contributors, pairs_each=pairs_each)
    assert found.status == "inconclusive"
    assert "at least 20 pairs of 8 contributors are needed" in found.reason
    assert f"{contributors} contributor" in found.reason


def test_no_held_out_pair_at_all_is_inconclusive() -> None:
    found = promotion_verdict(simulated_scores(1).clear(), SETTINGS)
    assert found.status == "inconclusive"
    assert found.reason.startswith("Only 0 held-out pairs of 0 contributors")
    verdict_markdown(found)


def test_a_candidate_that_answers_just_like_the_incumbent_is_inconclusive() -> None:
    scores = simulated_scores(1, models=TWO_MODELS).filter(pl.col("model") == "base")
    same = pl.concat([scores, scores.with_columns(model=pl.lit("candidate"))])
    found = promotion_verdict(same, SETTINGS)
    assert found.status == "inconclusive"
    assert "both models scored the same on every pair" in found.reason
    assert set(found.minimum_detectable_effect.values()) == {None}


def test_a_metric_that_few_pairs_have_cannot_decide_but_can_hold_a_promotion_back() -> None:
    few = (pl.col("metric") != "tool_call_accuracy") | pl.col("pair_id").str.starts_with("pair-0-")
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3, "tool_call_accuracy": -0.9}})
    assert promotion_verdict(scores.filter(few), SETTINGS).status == "inconclusive"
    fine = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3, "tool_call_accuracy": 0.2}})
    assert promotion_verdict(fine.filter(few), SETTINGS).status == "pass"


def test_primary_metrics_that_few_pairs_have_decide_nothing() -> None:
    settings = GateSettings(resamples=1000, primary_metrics=("tool_call_accuracy",))
    few = (pl.col("metric") != "tool_call_accuracy") | pl.col("pair_id").str.starts_with("pair-0-")
    found = promotion_verdict(simulated_scores(1).filter(few), settings)
    assert found.status == "inconclusive"
    assert "No primary metric could be judged: the best covered has 3 pairs" in found.reason


def test_a_guard_metric_can_be_made_primary() -> None:
    settings = GateSettings(resamples=1000, primary_metrics=("tool_call_accuracy",))
    scores = simulated_scores(1, shifts={"candidate": {"tool_call_accuracy": 0.4}})
    assert promotion_verdict(scores, settings).status == "pass"


def test_pairs_without_a_contributor_count_one_each() -> None:
    scores = simulated_scores(1, contributors=1, pairs_each=30).with_columns(contributor=pl.lit(None, pl.String))
    assert promotion_verdict(scores, SETTINGS).contributors == 30


def test_a_pair_that_one_model_was_not_scored_on_is_an_error_that_says_what_to_do() -> None:
    gap = (pl.col("pair_id") == "pair-0-0") & (pl.col("model") == "incumbent") & (pl.col("metric") == "truncated")
    with pytest.raises(PipelineError, match="truncated are incomplete: on 1 pairs"):
        promotion_verdict(simulated_scores(1).filter(~gap), SETTINGS)


def test_scores_without_a_candidate_or_a_column_are_an_error() -> None:
    with pytest.raises(PipelineError, match="lack the model candidate"):
        promotion_verdict(simulated_scores(1, models=("base",)), SETTINGS)
    with pytest.raises(PipelineError, match="lack the columns contributor"):
        promotion_verdict(simulated_scores(1).drop("contributor"), SETTINGS)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_scores_does_not_change_the_verdict(seed: int) -> None:
    scores = simulated_scores(seed, shifts={"candidate": {"contrastive_similarity": 0.05}})
    once = promotion_verdict(scores, SETTINGS)
    again = promotion_verdict(scores.sample(fraction=1.0, shuffle=True, seed=seed + 1), SETTINGS)
    assert verdict_json(once) == verdict_json(again)
    assert once.table.equals(again.table)


def test_models_that_are_equal_rarely_pass_or_fail() -> None:
    light = GateSettings(resamples=500)
    primaries = ("preference_accuracy", "contrastive_similarity")
    statuses = [
        promotion_verdict(simulated_scores(seed, contributors=12, metrics=primaries), light).status
        for seed in range(150)
    ]
    assert statuses.count("pass") <= 8
    assert statuses.count("fail") <= 12


def test_a_real_improvement_passes_more_often_with_more_contributors() -> None:
    light = GateSettings(resamples=500)

    def passes(contributors: int) -> int:
        drawn = [
            simulated_scores(
                seed,
                contributors=contributors,
                shifts={"candidate": {"contrastive_similarity": 0.08}},
                metrics=("contrastive_similarity",),
                models=TWO_MODELS,
            )
            for seed in range(60)
        ]
        return sum(promotion_verdict(scores, light).status == "pass" for scores in drawn)

    few, some, many = passes(8), passes(25), passes(80)
    assert few < some < many
    assert many >= 50


def test_the_report_names_every_model_and_metric_without_text_of_users() -> None:
    found = decide({"contrastive_similarity": 0.3})
    text = verdict_markdown(found)
    assert text.startswith("**Promote.** Credibly better")
    for words in ("| metric | base | incumbent | candidate |", "tool-call accuracy", "| kept |", "| better |"):
        assert words in text
    stored = json.dumps(verdict_json(found))
    assert "pair-0" not in stored
    assert "contributor-0" not in stored


def test_a_verdict_is_read_back_from_its_file_as_it_was() -> None:
    for found in (decide({"contrastive_similarity": 0.3}), promotion_verdict(simulated_scores(1).clear(), SETTINGS)):
        again = stored_verdict(json.loads(json.dumps(verdict_json(found))))
        assert again.verdict == found.verdict
        assert again.table.equals(found.table)
        assert again.comparisons.equals(found.comparisons)
        assert verdict_markdown(again) == verdict_markdown(found)


def test_reading_verdicts_does_not_load_the_statistics_library() -> None:
    code = "import sys, grpo_pipeline.gates.report; print('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_verdict_says_how_much_evidence_there_is_and_how_much_this_look_needs() -> None:
    found = decide({"contrastive_similarity": 0.3})
    assert found.evidence is not None
    assert found.evidence.enough
    assert f"needed {found.evidence.threshold:.3g} at look 1" in found.reason
    assert "Smallest improvement that this sample shows with 80% probability" in found.reason


def test_an_improvement_that_sufficed_at_the_first_look_does_not_at_a_late_one() -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.15}}, contributor_spread=0.03)
    assert promotion_verdict(scores, SETTINGS, look=1).status == "pass"
    late = promotion_verdict(scores, SETTINGS, look=50)
    assert late.status == "inconclusive"
    assert "not by enough for look 50 at this incumbent" in late.reason
    assert late.evidence is not None
    assert not late.evidence.enough


def test_later_looks_can_only_show_larger_improvements() -> None:
    scores = simulated_scores(1, contributors=40)
    first, late = (promotion_verdict(scores, SETTINGS, look=look).minimum_detectable_effect for look in (1, 30))
    assert first["contrastive_similarity"] < late["contrastive_similarity"]
    assert first["truncated"] == late["truncated"] > 0


def test_a_guard_that_too_few_answers_have_is_called_unproven_in_a_pass() -> None:
    few = (pl.col("metric") != "tool_call_accuracy") | pl.col("pair_id").str.starts_with("pair-0-")
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3, "tool_call_accuracy": 0.2}})
    found = promotion_verdict(scores.filter(few), SETTINGS)
    assert found.status == "pass"
    assert "Too few answers to show the same of tool-call accuracy" in found.reason


def test_a_guard_that_the_sample_could_have_shown_to_be_kept_must_be_shown_to_be_kept() -> None:
    # Every contributor's truncation rises by just less than the margin: nothing is credibly beyond it, yet with an
    # interval this narrow a model that is as good would have been shown to be.
    rise = {"contrastive_similarity": 0.3, "truncated": 0.048}
    scores = simulated_scores(3, shifts={"candidate": rise}, contributor_spread=0.0, pair_spread=0.02)
    found = promotion_verdict(scores, SETTINGS)
    row = found.comparisons.row(
        by_predicate=(pl.col("metric") == "truncated") & (pl.col("against") == "incumbent"), named=True
    )
    assert row["high"] > row["margin"] > row["difference"]
    assert row["state"] == "doubtful"
    assert found.status == "inconclusive"


def test_held_out_pairs_are_pooled_over_weeks_and_shown_by_week() -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}})
    contributor = pl.col("contributor").str.strip_prefix("contributor-").cast(pl.Int64)
    weeks = pl.when(contributor < 5).then(pl.lit("2026-10-05")).otherwise(pl.lit("2026-10-12"))
    found = promotion_verdict(scores.with_columns(week=weeks), SETTINGS)
    assert found.weeks == 2
    here = found.by_week.filter(pl.col("metric") == "contrastive_similarity", pl.col("against") == "incumbent")
    assert here.select("week", "pairs", "contributors").rows() == [("2026-10-05", 15, 5), ("2026-10-12", 30, 10)]
    whole = found.comparisons.filter(pl.col("metric") == "contrastive_similarity", pl.col("against") == "incumbent")
    assert (here["difference"] * here["pairs"]).sum() / 45 == pytest.approx(whole["difference"].item())
    assert "Pooled over 2 weeks" in verdict_markdown(found)
    assert promotion_verdict(scores, SETTINGS).weeks == 0
