from __future__ import annotations

import pytest

from grpo_pipeline.dataset.build import PreferenceDataset, build_dataset
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.dataset.verdict import dataset_verdict, new_pairs_verdict
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.dataset.feedback import FIRST, curated, many_pairs, pair, user_on, votes


def many(people: int = 15, **chosen: object) -> PreferenceDataset:
    return build_dataset(many_pairs(people=people), votes(), FIRST.shift(5), DatasetSettings.model_validate(chosen))


def test_too_few_new_pairs_are_counted_since_the_last_trained_week() -> None:
    ids = [f"p{number}" for number in range(173)]
    verdict = new_pairs_verdict(ids, ids[:100], 100, Week("2026-10-05"))
    assert verdict == Verdict("skipped", "73 of 100 new pairs since 2026-10-05: not trained")
    assert not verdict.passed


@pytest.mark.parametrize(("new", "status"), [(99, "skipped"), (100, "pass"), (101, "pass")])
def test_the_minimum_itself_is_enough(new: int, status: str) -> None:
    assert new_pairs_verdict([f"p{number}" for number in range(new)], [], 100).status == status


def test_before_the_first_training_no_week_is_named() -> None:
    assert new_pairs_verdict(["a"], [], 100).reason == "1 of 100 new pairs: not trained"
    assert new_pairs_verdict(["a"], [], 1).reason == "1 new pairs (at least 1)"


def test_a_dataset_with_both_sides_and_enough_new_pairs_passes() -> None:
    dataset = many()
    assert dataset_verdict(dataset, []).passed
    known = [*dataset.train["id"], *dataset.held_out["id"]]
    assert dataset_verdict(dataset, known, FIRST) == Verdict(
        "skipped", f"0 of 100 new pairs since {FIRST.key}: not trained"
    )


def test_held_out_pairs_are_new_pairs_too() -> None:
    dataset = many()
    known = dataset.train["id"].to_list()
    verdict = dataset_verdict(dataset, known, FIRST)
    assert verdict.reason == f"{len(dataset.held_out)} of 100 new pairs since {FIRST.key}: not trained"
    assert len(dataset.held_out) > 0


def test_a_small_dataset_is_asked_for_more_pairs_before_anything_else() -> None:
    few = build_dataset(curated(pair("a", "ada", "Why?")), votes(), FIRST, DatasetSettings())
    assert dataset_verdict(few, []).reason == "1 of 100 new pairs: not trained"


def test_pairs_of_one_contributor_cannot_be_split_and_the_setting_that_helps_is_named() -> None:
    verdict = dataset_verdict(many(people=1), [])
    assert verdict.status == "fail"
    assert verdict.reason.endswith(
        "pairs: all 180 pairs come from 1 contributor; set GRPO_DATASET__HOLD_OUT_BY=prompt to split by prompt. "
        "Not trained."
    )
    assert dataset_verdict(many(people=1, hold_out_by="prompt"), []).passed


def test_contributors_who_all_fall_on_one_side_are_told_about_the_fraction() -> None:
    rows = [pair(f"p{n}", user_on("train", n % 3), f"{n * 7919} shops of {n * 104729}?", 0, n) for n in range(150)]
    dataset = build_dataset(curated(*rows), votes(), FIRST, DatasetSettings())
    assert dataset_verdict(dataset, []) == Verdict(
        "fail",
        "No held-out pairs: all 3 contributors are on the training side (held out: 20%); set "
        "GRPO_DATASET__HOLD_OUT_BY=prompt to split by prompt, or change GRPO_DATASET__HELD_OUT_FRACTION. Not trained.",
    )


def test_a_side_lost_to_leaks_is_told_about_similar_prompts() -> None:
    rows = [
        pair(f"p{n}", user_on("train" if n % 2 == 0 else "held_out", n % 3), "Analyze @Ramp", 0, n) for n in range(150)
    ]
    verdict = dataset_verdict(build_dataset(curated(*rows), votes(), FIRST, DatasetSettings()), [])
    assert verdict.status == "fail"
    assert "75 were left out because their prompts are near-duplicates of training prompts" in verdict.reason
