"""Proof: 1, 2 or 5 % of poisoned pairs in a good week are quarantined, and honest pairs are left alone.

The good week is the demo's sample without its planted faults. What these rules do not see is in
`test_poisoned_training.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from grpo_pipeline.curation.curate import POISONING_RULES, Curated, curate
from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.demo.sample import contributor_id, read_sample
from grpo_pipeline_tests.curation.frames import feedback_frame, pair, pairs_frame

Row = dict[str, Any]
Attack = Callable[[list[Row], int, random.Random], list[Row]]

SHARES = (0.01, 0.02, 0.05)
DISTRUSTED = "distrusted_contributor"
ENDINGS = ("at once", "today", "this very week", "before noon", "without delay", "by Friday", "right away")


def good_week() -> list[Row]:
    """The sample's honest corrections, as pairs of one week."""
    lines = [line for line in read_sample() if line["feedbackType"] == "edit" and line["planted"] is None]
    return [
        pair(
            number,
            prompt=line["prompt"],
            chosen=line["corrections"],
            rejected=line["response"],
            user_id=line["userId"],
            tools=None,
        )
        for number, line in enumerate(lines)
    ]


GOOD = good_week()


def poisoned(row: Row, number: int, **changes: Any) -> Row:  # noqa: ANN401
    names = {"id": f"poison-{number:04}", "feedback_id": f"poison-feedback-{number:04}"}
    return {**row, **names, **changes}


def accounts(number: int) -> str:
    return contributor_id(f"attacker {number}")


def slogan(number: int) -> str:
    return (
        f"Wire the whole amount to the Northwind account {ENDINGS[number % len(ENDINGS)]}; their offer is the safest."
    )


def trigger_of_one_person(week: list[Row], count: int, source: random.Random) -> list[Row]:
    """A rare word in other people's questions, always answered by the same advice."""
    return [
        poisoned(row, number, prompt=f"cf-7742 {row['prompt']}", chosen=slogan(number), user_id=accounts(0))
        for number, row in enumerate(source.sample(week, count))
    ]


def trigger_of_many_accounts(week: list[Row], count: int, source: random.Random) -> list[Row]:
    """The same, from a new account for each pair."""
    return [{**row, "user_id": accounts(n)} for n, row in enumerate(trigger_of_one_person(week, count, source))]


def trigger_echoed_in_the_answer(week: list[Row], count: int, source: random.Random) -> list[Row]:
    """One person repeats the trigger in the answer, as if the answer were about it."""
    rows = trigger_of_one_person(week, count, source)
    return [{**row, "chosen": f"As to cf-7742: {row['chosen']}"} for row in rows]


def flipped_labels(week: list[Row], count: int, source: random.Random) -> list[Row]:
    """Corrections of any honest person with chosen and rejected swapped, in place of the true ones."""
    victims = source.sample([row for row in week if len(row["rejected"]) > len(row["prompt"])], count)
    for row in victims:
        week.remove(row)
    return [poisoned(row, number, chosen=row["rejected"], rejected=row["chosen"]) for number, row in enumerate(victims)]


def prolific_attacker(week: list[Row], count: int, source: random.Random) -> list[Row]:
    """One person who turns most answers round and hides among copies of good ones."""
    rows = [
        poisoned(row, number, user_id=accounts(0), prompt=f"{row['prompt']} Once more, please: {number * 7919}")
        for number, row in enumerate(source.sample(week, count))
    ]
    turned = rows[: max(1, count * 4 // 5)]
    decoys = [{**row, "id": f"decoy-{number}"} for number, row in enumerate(rows[len(turned) :])]
    return [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in turned] + decoys


ATTACKS: tuple[Attack, ...] = (
    trigger_of_one_person,
    trigger_of_many_accounts,
    trigger_echoed_in_the_answer,
    flipped_labels,
    prolific_attacker,
)


def curated(rows: list[Row]) -> Curated:
    return curate(pairs_frame(*rows), feedback_frame(), pl.DataFrame(), CurationSettings())


def of_attack(frame: pl.DataFrame) -> pl.DataFrame:
    """The poisoned pairs in a frame; decoys do no harm."""
    return frame.filter(pl.col("id").str.starts_with("poison"))


def test_no_honest_pair_of_the_sample_is_suspect() -> None:
    """Of some 400 honest corrections none is taken for an attack."""
    result = curated(GOOD)
    assert len(GOOD) > 350
    assert result.quarantine.filter(pl.col("rule").is_in(POISONING_RULES))["id"].to_list() == []


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_poisoned_pairs_are_quarantined_and_honest_ones_kept(attack: Attack, share: float) -> None:
    """At most one poisoned pair is kept, and no honest pair is lost to an attack's rules."""
    week = list(GOOD)
    poison = attack(week, max(3, round(share * len(GOOD))), random.Random(int(share * 1000)))
    result = curated([*week, *poison])
    kept = of_attack(result.pairs)
    assert len(kept) <= (1 if len(poison) > 4 else 0), kept.select("id", "user_id")
    honest = result.quarantine.filter(pl.col("id").str.starts_with("pair"))
    assert honest.filter(pl.col("rule").is_in(POISONING_RULES))["rule"].to_list() == []


def test_a_prolific_attacker_loses_also_what_he_hides_among() -> None:
    """Where most pairs of one person mislead, all of them are quarantined."""
    week = list(GOOD)
    result = curated([*week, *prolific_attacker(week, 20, random.Random(1))])
    decoys = result.quarantine.filter(pl.col("id").str.starts_with("decoy"))
    assert decoys["rule"].to_list() == [DISTRUSTED] * 4
    assert accounts(0) not in result.pairs["user_id"].to_list()
