"""Guards on the answers themselves: their length, their words, the distance from the base model, the probes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from grpo_pipeline.gates.settings import GateSettings
from grpo_pipeline.gates.verdict import PromotionVerdict, promotion_verdict
from grpo_pipeline_tests.gates.simulated import simulated_scores

SETTINGS = GateSettings(resamples=1000)
TWO_MODELS = ("base", "candidate")


def with_answers(scores: pl.DataFrame, lengths: Mapping[str, float], words: Mapping[str, float]) -> pl.DataFrame:
    """The scores with the tokens and the word similarity of every sampled answer, around a mean per model."""
    source = np.random.default_rng(4)
    answers = scores.filter(pl.col("metric") == "truncated")
    added = []
    for metric, means, spread in (("answer_tokens", lengths, 4.0), ("word_similarity", words, 0.05)):
        for model, mean in means.items():
            own = answers.filter(pl.col("model") == model)
            values = source.normal(mean, spread, own.height)
            added.append(own.with_columns(metric=pl.lit(metric), value=pl.Series(values)))
    return pl.concat([scores, *added])


def state_of(found: PromotionVerdict, metric: str, against: str) -> str:
    here = (pl.col("metric") == metric) & (pl.col("against") == against)
    return found.comparisons.row(by_predicate=here, named=True)["state"]


@pytest.mark.parametrize("against", ["base", "incumbent"])
def test_answers_much_longer_than_those_of_the_model_in_use_fail(against: str) -> None:
    models = ("base", "candidate") if against == "base" else ("base", "incumbent", "candidate")
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}}, models=models)
    longer = {name: 80.0 if name == "candidate" else 40.0 for name in models}
    found = promotion_verdict(with_answers(scores, longer, dict.fromkeys(models, 0.5)), SETTINGS)
    assert found.status == "fail"
    assert "length drift +" in found.reason
    assert state_of(found, "length_drift", against) == "worse"


def test_longer_answers_are_no_fault_where_the_corrections_are_longer_too() -> None:
    shifts = {"candidate": {"contrastive_similarity": 0.3, "length_deviation": -0.4}}
    scores = simulated_scores(1, shifts=shifts, models=TWO_MODELS)
    found = promotion_verdict(
        with_answers(scores, {"base": 40.0, "candidate": 80.0}, {"base": 0.5, "candidate": 0.7}), SETTINGS
    )
    assert found.status == "pass"
    assert state_of(found, "length_drift", "base") == "kept"


def test_answers_that_share_fewer_words_with_the_corrections_at_equal_lengths_fail() -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}}, models=TWO_MODELS)
    found = promotion_verdict(
        with_answers(scores, {"base": 40.0, "candidate": 40.0}, {"base": 0.5, "candidate": 0.4}), SETTINGS
    )
    assert found.status == "fail"
    assert "length-controlled wins -" in found.reason


def with_level(scores: pl.DataFrame, metric: str, means: Mapping[str, float], items: int | None = None) -> pl.DataFrame:
    """The scores with one more metric; of so many probes instead of the pairs where that is given."""
    source = np.random.default_rng(5)
    one_each = scores.filter(pl.col("metric") == "preference_accuracy")
    if items:
        name = pl.format("probe {}", pl.int_range(pl.len()))
        one_each = pl.concat(
            [
                one_each.filter(pl.col("model") == model)
                .head(items)
                .with_columns(pair_id=name, contributor=pl.lit(None, pl.String))
                for model in means
            ]
        )
    added = [
        own.with_columns(
            metric=pl.lit(metric), value=pl.Series(np.clip(source.normal(means[model], 0.1, own.height), 0, None))
        )
        for model in means
        for own in [one_each.filter(pl.col("model") == model)]
    ]
    return pl.concat([scores, *added])


@pytest.mark.parametrize(("nats", "status"), [(0.5, "pass"), (5.0, "fail")])
def test_a_policy_may_move_from_the_base_model_as_far_as_its_budget(nats: float, status: str) -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}})
    moved = {"base": 0.0, "incumbent": 9.0, "candidate": nats}
    found = promotion_verdict(with_level(scores, "kl_per_token", moved), SETTINGS)
    assert found.status == status
    assert state_of(found, "kl_per_token", "incumbent") == "shown"
    assert state_of(found, "kl_per_token", "base") == ("kept" if status == "pass" else "worse")


def test_a_family_of_probes_that_got_worse_refuses_and_is_named() -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}}, models=TWO_MODELS)
    found = promotion_verdict(with_level(scores, "probe_flattery", {"base": 0.9, "candidate": 0.3}, items=20), SETTINGS)
    assert found.status == "fail"
    assert "Credibly worse: probe: flattery -0." in found.reason
    assert "20 items)" in found.reason
    assert found.pairs == 45


def test_too_few_probes_of_a_family_refuse_nothing_that_is_small() -> None:
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}}, models=TWO_MODELS)
    found = promotion_verdict(with_level(scores, "probe_format", {"base": 0.9, "candidate": 0.85}, items=3), SETTINGS)
    assert found.status == "pass"
    assert state_of(found, "probe_format", "base") == "unproven"
