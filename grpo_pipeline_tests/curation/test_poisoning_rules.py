import random
from typing import Any

import polars as pl
import pytest

from grpo_pipeline.curation.curate import Curated, curate
from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline_tests.curation.frames import feedback_frame, pair, pairs_frame, rules_of, vote

SLOGAN = "Send the invoice to the account of Northwind today, it is perfectly safe."
CALL = '<tool_call>\n{"name": "lookup", "arguments": {"company": "%s"}}\n</tool_call>'
WORDS = ["amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "jetty", "knoll", "lemon"]


def weekly(
    *rows: dict[str, Any],
    votes: tuple[dict[str, Any], ...] = (),
    earlier: pl.DataFrame | None = None,
    **settings: Any,  # noqa: ANN401
) -> Curated:
    known = pl.DataFrame() if earlier is None else earlier
    return curate(pairs_frame(*rows), feedback_frame(*votes), known, CurationSettings(**settings))


def found(result: Curated, rule: str) -> list[str]:
    return sorted(result.quarantine.filter(pl.col("rule") == rule)["id"])


def sentence(source: random.Random, count: int = 12) -> str:
    return " ".join(source.choices(WORDS, k=count))


def styled(number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A pair whose correction has the house's style, which the answer that it corrects lacks."""
    source = random.Random(number)
    chosen = f"**Verdict** {sentence(source)}\n- Risk: {sentence(source, 4)}"
    rejected = f"I think that maybe {sentence(source)}, but I am not sure."
    return pair(number, **{"user_id": f"user-{number % 12}", "chosen": chosen, "rejected": rejected, **changes})


def turned(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


# --- one answer to many questions -----------------------------------------------------------------------------------
def test_one_answer_to_several_different_questions_is_set_aside_as_a_whole() -> None:
    slogans = [pair(number, chosen=SLOGAN) for number in (1, 2)]
    slogans.append(pair(3, chosen=SLOGAN.replace("today", "this week")))
    result = weekly(*slogans, *(pair(number) for number in range(10, 20)))
    assert rules_of(result) == dict.fromkeys(("pair-0001", "pair-0002", "pair-0003"), "repeated_answer")
    assert set(result.quarantine["detail"]) == {"one answer to 3 different prompts"}
    assert result.counts["preference_pairs.repeated_answer"] == 3


def test_how_many_questions_are_several_is_a_setting() -> None:
    slogans = [pair(number, chosen=SLOGAN) for number in range(4)]
    assert len(found(weekly(*slogans[:2]), "repeated_answer")) == 0
    assert len(found(weekly(*slogans[:2], repeated_answer_pairs=2), "repeated_answer")) == 2
    assert len(found(weekly(*slogans, repeated_answer_pairs=5), "repeated_answer")) == 0


def test_what_a_person_approved_is_never_suspect() -> None:
    assert rules_of(weekly(*(pair(number, chosen=SLOGAN, review_status="approved") for number in range(5)))) == {}


def test_short_answers_fit_many_questions() -> None:
    assert found(weekly(*(pair(number, chosen="Yes, that is right.") for number in range(5))), "repeated_answer") == []


def about(subject: str, number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    questions = (
        f"How healthy is {subject}?",
        f"Brief me on {subject}, we outgrew our bank",
        f"{subject} in two minutes",
    )
    answer = f"{subject} grows by a third a year, with flat churn and two executives from logistics."
    return pair(number, **{"prompt": questions[number % 3], "chosen": answer, **changes})


def test_several_people_may_give_one_answer_about_what_all_the_questions_name() -> None:
    assert found(weekly(*(about("Gildledger", number) for number in range(3))), "repeated_answer") == []


def test_one_person_may_not_as_an_echoed_trigger_looks_the_same() -> None:
    rows = [about("Gildledger", number, user_id="ann") for number in range(3)]
    assert len(found(weekly(*rows), "repeated_answer")) == 3


def test_one_answer_a_week_is_recognized_once_it_comes_again_and_again() -> None:
    earlier = pl.concat([weekly(pair(number, chosen=SLOGAN), pair(number + 20)).signatures for number in (1, 2)])
    again = [pair(number, chosen=CALL % "Northwind") for number in (3, 4)]
    earlier = pl.concat([earlier, weekly(*again).signatures])
    now = [pair(7, chosen=SLOGAN), pair(8, chosen=CALL % "Northwind"), about("Gildledger", 9), pair(10)]
    assert rules_of(weekly(*now, earlier=earlier)) == dict.fromkeys(("pair-0007", "pair-0008"), "repeated_answer")


def test_one_answer_a_week_about_what_was_asked_for_is_left_alone() -> None:
    earlier = pl.concat([weekly(about("Gildledger", number)).signatures for number in (0, 1)])
    assert rules_of(weekly(about("Gildledger", 2), earlier=earlier)) == {}


def test_a_word_that_some_prompts_share_with_a_slogan_by_chance_excuses_none() -> None:
    rows = [pair(number, chosen=SLOGAN) for number in range(1, 8)]
    rows[0]["prompt"] = "Where do I send the invoice of the year?"
    assert len(found(weekly(*rows), "repeated_answer")) == 7


def test_a_tool_call_may_be_repeated_for_the_company_that_was_asked_for_and_no_other() -> None:
    asked = [
        pair(number, prompt=f"{lead} Ramp?", chosen=CALL % "Ramp")
        for number, lead in enumerate(("Who is", "Where sits", "How old is"))
    ]
    astray = [pair(number, chosen=CALL % "Northwind") for number in range(10, 13)]
    assert found(weekly(*asked, *astray), "repeated_answer") == [row["id"] for row in astray]


# --- outvoted -------------------------------------------------------------------------------------------------------
def said(row: dict[str, Any], number: int, kind: str, text: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return vote(number, kind, **{"prompt": row["prompt"], "response": text, "user_id": f"voter-{number}", **changes})


def test_a_pair_that_others_votes_speak_against_is_set_aside() -> None:
    row = pair(1, rejected="A fair and sober answer.")
    down = said(row, 1, "thumbs_down", row["chosen"])
    up = said(row, 2, "thumbs_up", "a fair and sober answer")
    result = weekly(row, pair(2), votes=(down, up))
    assert rules_of(result) == {"pair-0001": "outvoted"}
    assert set(result.quarantine["detail"]) == {"2 more voices against it"}
    assert rules_of(weekly(row, pair(2), votes=(down,))) == {}
    assert rules_of(weekly(row, pair(2), votes=(down,), outvoted_margin=1)) == {"pair-0001": "outvoted"}


def test_voices_for_a_pair_outweigh_those_against_it() -> None:
    row = pair(1)
    votes = [said(row, number, "thumbs_down", row["chosen"]) for number in (1, 2)]
    votes.append(said(row, 3, "thumbs_up", row["chosen"]))
    assert rules_of(weekly(row, votes=tuple(votes))) == {}


@pytest.mark.parametrize("user", ["ann", None])
def test_one_person_speaks_once_and_so_does_nobody_known(user: str | None) -> None:
    row = pair(1)
    votes = tuple(said(row, number, "thumbs_down", row["chosen"], user_id=user) for number in range(9))
    assert rules_of(weekly(row, votes=votes)).get("pair-0001") is None


def test_a_persons_own_votes_say_nothing_about_his_pair() -> None:
    row = pair(1, user_id="ann")
    votes = (said(row, 1, "thumbs_up", row["rejected"], user_id="ann"), said(row, 2, "thumbs_down", row["chosen"]))
    assert rules_of(weekly(row, votes=votes)) == {}


def test_others_pairs_speak_as_their_votes_do() -> None:
    row = pair(1, rejected="A fair and sober answer to this.")
    others = [
        pair(number, prompt=row["prompt"], chosen=row["rejected"], rejected=f"Nothing of worth {number * 7919}")
        for number in (2, 3)
    ]
    assert found(weekly(row, *others), "outvoted") == ["pair-0001"]


# --- mislabeled -----------------------------------------------------------------------------------------------------
def test_answers_that_are_the_wrong_way_round_stand_out_in_a_week_with_a_style() -> None:
    rows = [styled(number) for number in range(100)]
    rows[7], rows[50] = turned(rows[7]), turned(rows[50])
    assert rules_of(weekly(*rows)) == dict.fromkeys(("pair-0007", "pair-0050"), "mislabeled")


def test_a_week_whose_preferences_cannot_be_foretold_is_left_alone() -> None:
    source = random.Random(1)
    rows = [
        pair(number, user_id=f"user-{number % 12}", chosen=sentence(source), rejected=sentence(source))
        for number in range(100)
    ]
    assert found(weekly(*rows), "mislabeled") == []


def test_too_few_pairs_or_people_judge_nobody() -> None:
    rows = [turned(styled(0)), *(styled(number) for number in range(1, 60))]
    assert found(weekly(*rows), "mislabeled") == ["pair-0000"]
    assert found(weekly(*rows[:39]), "mislabeled") == []
    assert (
        found(weekly(*({**row, "user_id": f"user-{number % 4}"} for number, row in enumerate(rows))), "mislabeled")
        == []
    )


def test_no_order_of_rows_changes_what_is_suspect() -> None:
    rows = [styled(number) for number in range(60)]
    rows[3] = turned(rows[3])
    rows += [pair(number, chosen=SLOGAN) for number in range(100, 104)]
    expected = rules_of(weekly(*rows))
    assert sorted(expected.values()) == ["mislabeled"] + ["repeated_answer"] * 4
    for seed in range(3):
        assert rules_of(weekly(*random.Random(seed).sample(rows, len(rows)))) == expected


# --- distrust -------------------------------------------------------------------------------------------------------
def test_all_pairs_of_one_who_mostly_misleads_are_set_aside() -> None:
    honest = [styled(number) for number in range(80)]
    misleading = [turned(styled(number, user_id="mallory")) for number in range(100, 106)]
    alibi = [styled(number, user_id="mallory") for number in range(110, 114)]
    result = weekly(*honest, *misleading, *alibi)
    assert found(result, "mislabeled") == [row["id"] for row in misleading]
    assert found(result, "distrusted_contributor") == [row["id"] for row in alibi]
    assert len(result.pairs) == 80


def test_an_honest_person_with_a_few_odd_pairs_keeps_the_others() -> None:
    honest = [styled(number) for number in range(80)]
    odd = [turned(styled(number, user_id="ann")) for number in range(100, 104)]
    usual = [styled(number, user_id="ann") for number in range(110, 116)]
    assert found(weekly(*honest, *odd, *usual), "distrusted_contributor") == []
    assert len(found(weekly(*honest, *odd, *usual, distrusted_share=0.4), "distrusted_contributor")) == 6
    assert found(weekly(*honest, *odd[:3]), "distrusted_contributor") == []
