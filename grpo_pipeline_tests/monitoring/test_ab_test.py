from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.monitoring.ab_test import standings, started
from grpo_pipeline.monitoring.fresh_champion import fresh_champion
from grpo_pipeline.monitoring.judgements import SCHEMA, judged
from grpo_pipeline.monitoring.sample_ratio import sample_ratio
from grpo_pipeline.monitoring.settings import MonitoringSettings
from grpo_pipeline.monitoring.users import verdicts_of_users
from grpo_pipeline.registry.changes import Traffic
from grpo_pipeline_tests.monitoring.simulated import CHALLENGER, CHAMPION, START, at, traffic, votes

SETTINGS = MonitoringSettings()
SAME = {CHAMPION: 0.6, CHALLENGER: 0.6}
DAY = timedelta(days=1)


def rows(*given: tuple[float, str, str, str]) -> pl.DataFrame:
    """Judgements from (day, person, version, feedback type)."""
    listed = [(at(day), person, version, kind, None, False) for day, person, version, kind in given]
    return judged(pl.DataFrame(listed, schema=SCHEMA, orient="row"), CurationSettings())


def test_a_user_counts_once_with_the_votes_of_his_first_day() -> None:
    found = verdicts_of_users(
        rows(
            (0.0, "a", CHAMPION, "thumbs_up"),
            (0.5, "a", CHAMPION, "thumbs_down"),
            (0.6, "a", CHALLENGER, "thumbs_up"),
            (0.7, "a", CHAMPION, "comment"),
            (3.0, "a", CHAMPION, "thumbs_down"),
            (0.2, "b", CHALLENGER, "thumbs_up"),
            (4.5, "c", CHALLENGER, "thumbs_up"),
            (-1.0, "d", CHAMPION, "thumbs_up"),
            (1.0, "e", "another", "thumbs_up"),
        ),
        (CHAMPION, CHALLENGER),
        START,
        at(5),
        DAY,
    )
    assert found.select("person", "model_version", "success", "settled").rows() == [
        ("a", CHAMPION, 0.5, True),
        ("b", CHALLENGER, 1.0, True),
        ("c", CHALLENGER, 1.0, False),
    ]


def test_a_worse_challenger_is_found_and_the_reason_has_the_numbers() -> None:
    judgements = votes(np.random.default_rng(0), 500, {CHAMPION: 0.7, CHALLENGER: 0.45}, 0.3)
    (standing,) = standings(judgements, [traffic(share=0.3)], at(40), SETTINGS)
    assert standing.verdict.status == "fail"
    assert standing.verdict.reason.startswith("Credibly worse: success 0.4")
    assert "95% confidence sequence -0." in standing.verdict.reason
    assert standing.comparison.high < 0
    assert standing.comparison.needed == 40
    assert sum(standing.comparison.users) == 500
    assert {segment.name.split()[0] for segment in standing.segments} == {"with", "without", "week"}
    assert all(segment.comparison.needed > 40 for segment in standing.segments)


def test_a_better_challenger_passes_and_an_equal_one_stays_open() -> None:
    better = votes(np.random.default_rng(1), 500, {CHAMPION: 0.45, CHALLENGER: 0.7}, 0.3)
    assert standings(better, [traffic(share=0.3)], at(40), SETTINGS)[0].verdict.status == "pass"
    equal = votes(np.random.default_rng(2), 500, SAME, 0.3)
    (standing,) = standings(equal, [traffic(share=0.3)], at(40), SETTINGS)
    assert standing.verdict.status == "inconclusive"
    assert standing.verdict.reason.startswith("No credible difference yet")
    assert standing.comparison.low < 0 < standing.comparison.high


def test_equal_challengers_looked_at_again_and_again_are_rarely_found_worse_or_better() -> None:
    # Each look also knows the greatest evidence of all moments before it.
    random, found, tests = np.random.default_rng(5), 0, 120
    for _ in range(tests):
        judgements = votes(random, 200, SAME, 0.3)
        looks = [standings(judgements, [traffic(share=0.3)], at(day), SETTINGS)[0] for day in (10, 25, 40)]
        found += any(look.verdict.status in ("fail", "pass") for look in looks)
    assert found / tests <= SETTINGS.error


def test_few_users_decide_nothing_however_they_judge() -> None:
    judgements = votes(np.random.default_rng(0), 60, {CHAMPION: 1.0, CHALLENGER: 0.0}, 0.2)
    (standing,) = standings(judgements, [traffic(share=0.2)], at(40), SETTINGS)
    assert standing.comparison.is_worse
    assert standing.verdict.status == "inconclusive"
    assert " of 20 users of each version so far" in standing.verdict.reason


def test_a_split_that_the_shares_do_not_explain_takes_the_gain_its_worth_but_not_the_harm() -> None:
    better = votes(np.random.default_rng(1), 500, {CHAMPION: 0.45, CHALLENGER: 0.7}, 0.3)
    (standing,) = standings(better, [traffic(share=0.1)], at(40), SETTINGS)
    assert standing.ratio is not None
    assert standing.ratio.p_value < 1e-6
    assert standing.verdict.status == "inconclusive"
    assert "The users do not split as the shares say: " in standing.verdict.reason
    worse = votes(np.random.default_rng(1), 500, {CHAMPION: 0.7, CHALLENGER: 0.45}, 0.3)
    assert standings(worse, [traffic(share=0.1)], at(40), SETTINGS)[0].verdict.status == "fail"


def test_the_ratio_is_chi_square_and_a_share_changed_on_the_way_is_no_mismatch() -> None:
    users = pl.DataFrame(
        {
            "model_version": [CHALLENGER] * 10 + [CHAMPION] * 90 + [CHALLENGER] * 50 + [CHAMPION] * 50,
            "at": [at(1)] * 100 + [at(8)] * 100,
        }
    )
    first = sample_ratio(users.head(100), CHALLENGER, [traffic(share=0.2)])
    assert first is not None
    # Pearson: (10 - 20)^2 / 20 + (90 - 80)^2 / 80 = 6.25, with one degree of freedom.
    assert first.p_value == pytest.approx(0.0124193, rel=1e-4)
    history = [traffic(share=0.1), traffic(at(7), share=0.5)]
    both = sample_ratio(users, CHALLENGER, history)
    assert both is not None
    assert (both.expected, both.observed, both.p_value) == (pytest.approx(0.3), 0.3, pytest.approx(1))
    assert sample_ratio(users.head(0), CHALLENGER, history) is None


def test_splits_as_the_shares_say_rarely_look_wrong() -> None:
    random, wrong = np.random.default_rng(0), 0
    for _ in range(300):
        challenger = random.random(300) < 0.2
        users = pl.DataFrame(
            {"model_version": np.where(challenger, CHALLENGER, CHAMPION), "at": [at(1)] * 300},
            schema={"model_version": pl.String, "at": pl.Datetime("us", "UTC")},
        )
        found = sample_ratio(users, CHALLENGER, [traffic(share=0.2)])
        wrong += found is not None and found.p_value < 0.05
    assert wrong / 300 == pytest.approx(0.05, abs=0.03)


def test_a_test_starts_anew_with_another_champion_and_goes_on_with_another_share() -> None:
    history = [traffic(), traffic(at(1), share=0.1), traffic(at(2), share=0.2)]
    assert started(history, CHALLENGER) == at(1)
    crowned = replace(traffic(at(3), share=0.2), champion="another", champion_since=at(3))
    assert started([*history, crowned], CHALLENGER) == at(3)
    ended = [*history, replace(traffic(at(3)), shares={}), traffic(at(4), share=0.1)]
    assert started(ended, CHALLENGER) == at(4)


def test_without_a_challenger_or_a_champion_there_is_no_test() -> None:
    judgements = votes(np.random.default_rng(0), 20, SAME)
    assert standings(judgements, [], at(9), SETTINGS) == []
    assert standings(judgements, [replace(traffic(), shares={})], at(9), SETTINGS) == []
    assert standings(judgements, [replace(traffic(share=0.1), champion=None)], at(9), SETTINGS) == []


def promoted(previous: str | None = CHAMPION) -> Traffic:
    return Traffic(at(28), CHALLENGER, at(28), previous, {})


def before_and_after(before: float, after: float) -> pl.DataFrame:
    random = np.random.default_rng(4)
    old = votes(random, 200, {CHAMPION: before}, 0.0, days=27)
    new = votes(random, 200, {CHALLENGER: after}, 1.0, start=at(28), days=10)
    return pl.concat([old, new])


def test_a_fresh_champion_is_judged_beside_the_one_before_it() -> None:
    worse = fresh_champion(before_and_after(0.7, 0.4), [promoted()], at(40), SETTINGS)
    assert worse is not None
    assert (worse.champion, worse.previous, worse.verdict.status) == (CHALLENGER, CHAMPION, "fail")
    same = fresh_champion(before_and_after(0.6, 0.6), [promoted()], at(40), SETTINGS)
    assert same is not None
    assert same.verdict.status == "inconclusive"


def test_who_is_not_fresh_or_was_brought_back_is_compared_with_nobody() -> None:
    judgements = before_and_after(0.7, 0.4)
    assert fresh_champion(judgements, [promoted()], at(28 + 29), SETTINGS) is None
    assert fresh_champion(judgements, [promoted(previous=None)], at(40), SETTINGS) is None
    assert fresh_champion(judgements, [], at(40), SETTINGS) is None
