from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.monitoring.judgements import SCHEMA, judged
from grpo_pipeline.monitoring.success import success_rates
from grpo_pipeline_tests.monitoring.simulated import CHALLENGER, CHAMPION, at, votes


def frame(*given: tuple[float, str | None, str | None, str, float | None]) -> pl.DataFrame:
    listed = [(at(day), person, version, kind, score, False) for day, person, version, kind, score in given]
    return judged(pl.DataFrame(listed, schema=SCHEMA, orient="row"), CurationSettings())


def test_thumbs_and_ratings_are_votes_and_edits_have_a_rate_of_their_own() -> None:
    found = success_rates(
        frame(
            (0, "a", "v1", "thumbs_up", None),
            (1, "b", "v1", "rating", 4),
            (2, "c", "v1", "rating", 2),
            (3, "c", "v1", "rating", 3),
            (3, "d", "v1", "edit", 1),
            (3, None, "v1", "comment", None),
            (7, "a", "v1", "thumbs_down", None),
            (6.9, "a", None, "edit", None),
        )
    ).to_dicts()
    assert [(row["week"], row["model_version"]) for row in found] == [
        ("2026-11-02", "v1"),
        ("2026-11-02", None),
        ("2026-11-09", "v1"),
    ]
    first = found[0]
    assert (first["feedback"], first["people"], first["votes"], first["edits"]) == (6, 5, 3, 1)
    assert first["success_rate"] == pytest.approx(2 / 3)
    assert first["edit_rate"] == pytest.approx(1 / 6)
    assert first["mean_score"] == 3
    assert 0 <= first["low"] < 2 / 3 < first["high"] <= 1
    assert (found[1]["votes"], found[1]["success_rate"], found[1]["low"]) == (0, None, None)
    assert (found[2]["success_rate"], found[2]["low"]) == (0.0, None)


def test_an_interval_holds_the_truth_although_votes_of_one_person_resemble_each_other() -> None:
    random, missed, weeks = np.random.default_rng(0), 0, 0
    for _ in range(60):
        rates = success_rates(votes(random, 60, {CHAMPION: 0.6, CHALLENGER: 0.6}, days=7, most=12))
        for row in rates.filter(pl.col("week") == "2026-11-02").to_dicts():
            weeks += 1
            missed += not row["low"] <= 0.6 <= row["high"]
    assert weeks == 120
    assert missed / weeks <= 0.09


def test_more_people_narrow_the_interval_and_more_votes_of_one_do_not() -> None:
    one = frame(*[(0, f"p{number % 4}", "v", ("thumbs_up", "thumbs_down")[number % 2], None) for number in range(400)])
    many = frame(*[(0, f"p{number}", "v", ("thumbs_up", "thumbs_down")[number % 2], None) for number in range(400)])
    width = [row["high"] - row["low"] for rates in (one, many) for row in success_rates(rates).to_dicts()]
    assert width[0] > 0.7
    assert width[1] < 0.11


def test_no_feedback_has_no_rates() -> None:
    assert success_rates(frame()).is_empty()
