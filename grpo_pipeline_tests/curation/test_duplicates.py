from pathlib import Path

import polars as pl
import pytest

from grpo_pipeline.curation.duplicates import SIGNATURE_SCHEMA
from grpo_pipeline_tests.curation.frames import TOPICS, curated, pair, rules_of

ANSWER = " ".join(TOPICS)
# A word in twenty differs, and every second one does.
ALMOST = ANSWER.replace("Revenue", "Income").replace("Lisbon", "Porto")
UNLIKE = " ".join(word if number % 2 else f"w{number}" for number, word in enumerate(ANSWER.split()))
PROMPT = "Analyze @Ramp"


def test_of_equal_pairs_the_earliest_stays_whatever_its_id() -> None:
    same = {"prompt": PROMPT, "chosen": ANSWER, "rejected": "No idea"}
    result = curated(
        pair(3, **same),
        pair(5, **{**same, "prompt": "analyze  @Ramp."}),
        pair(1, **same, created_at=pair(4)["created_at"]),
    )
    assert result.pairs["id"].to_list() == ["pair-0003"]
    assert rules_of(result) == {"pair-0001": "exact_duplicate", "pair-0005": "exact_duplicate"}
    assert set(result.quarantine["detail"]) == {"same as pair-0003"}


def test_a_plain_prompt_and_the_same_as_a_message_are_one_prompt() -> None:
    same = {"chosen": ANSWER, "rejected": "No idea"}
    message = '[{"role":"user","content":"Analyze @Ramp"}]'
    result = curated(pair(1, prompt=PROMPT, **same), pair(2, prompt=message, **same))
    assert rules_of(result) == {"pair-0002": "exact_duplicate"}


def test_pairs_whose_prompt_and_chosen_answer_are_alike_count_once_whatever_they_reject() -> None:
    result = curated(
        pair(1, prompt=PROMPT, chosen=ANSWER),
        pair(2, prompt=PROMPT, chosen=ALMOST),
        pair(3, prompt=PROMPT, chosen=ANSWER),
        pair(4, prompt=PROMPT, chosen=UNLIKE),
        pair(5, prompt="Analyze @Brex", chosen=ANSWER),
    )
    assert rules_of(result) == {"pair-0002": "near_duplicate", "pair-0003": "near_duplicate"}
    details = dict(result.quarantine.select("id", "detail").iter_rows())
    assert details["pair-0003"] == "same as pair-0001"
    assert details["pair-0002"].startswith("like pair-0001 (0.9")


def test_the_threshold_of_likeness_is_a_setting() -> None:
    rows = [pair(1, prompt=PROMPT, chosen=ANSWER), pair(2, prompt=PROMPT, chosen=ALMOST)]
    assert rules_of(curated(*rows, near_duplicate_similarity=0.99)) == {}
    assert rules_of(curated(*rows, near_duplicate_similarity=0.6)) == {"pair-0002": "near_duplicate"}


def test_earlier_weeks_are_compared_with_by_their_signatures_alone() -> None:
    first = curated(pair(1, prompt=PROMPT, chosen=ANSWER, rejected="No idea"))
    result = curated(
        pair(2, prompt=PROMPT, chosen=ANSWER, rejected="no idea."),
        pair(3, prompt=PROMPT, chosen=ALMOST, rejected="Other"),
        pair(4, prompt="Analyze @Brex", chosen=ANSWER),
        earlier=first.signatures,
    )
    assert rules_of(result) == {"pair-0002": "earlier_duplicate", "pair-0003": "earlier_near_duplicate"}
    assert result.quarantine["detail"][0] == "same as pair-0001"


def test_signatures_hold_no_text_and_survive_a_file(tmp_path: Path) -> None:
    result = curated(pair(1), pair(2), pair(3, prompt=" "))
    assert result.signatures.schema == pl.Schema(SIGNATURE_SCHEMA)
    assert result.signatures["id"].to_list() == ["pair-0001", "pair-0002"]
    result.signatures.write_parquet(tmp_path / "signatures.parquet")
    again = curated(pair(1), pair(2), earlier=pl.read_parquet(tmp_path / "signatures.parquet"))
    assert set(rules_of(again).values()) == {"earlier_duplicate"}


@pytest.mark.parametrize("other", [ANSWER, ALMOST])
def test_opposite_preferences_on_one_prompt_are_both_set_aside(other: str) -> None:
    result = curated(
        pair(1, prompt=PROMPT, chosen=ANSWER, rejected="Better ask somebody who knows it."),
        pair(2, prompt="analyze @ramp", chosen="Better ask somebody who knows it!", rejected=other),
        pair(3, prompt="Analyze @Brex", chosen="Better ask somebody who knows it.", rejected=ANSWER),
    )
    assert rules_of(result) == {"pair-0001": "contradiction", "pair-0002": "contradiction"}
    assert result.quarantine["detail"].to_list() == ["opposite of pair-0002", "opposite of pair-0001"]


def test_improving_on_an_answer_somebody_preferred_is_no_contradiction() -> None:
    better = "Better ask somebody who knows the business of this company well."
    result = curated(
        pair(1, prompt=PROMPT, chosen=better, rejected="No idea"),
        pair(2, prompt=PROMPT, chosen=ANSWER, rejected=better),
    )
    assert rules_of(result) == {}


def test_against_an_earlier_week_the_later_opposite_is_set_aside() -> None:
    better = "Better ask somebody who knows it."
    first = curated(pair(1, prompt=PROMPT, chosen=ANSWER, rejected=better))
    result = curated(pair(2, prompt=PROMPT, chosen=better, rejected=ANSWER), earlier=first.signatures)
    assert rules_of(result) == {"pair-0002": "contradiction"}


def test_a_flood_of_copies_leaves_one() -> None:
    copies = [
        pair(number, prompt=PROMPT, chosen=f"{ANSWER} {number}", user_id=f"u{number % 3}") for number in range(400)
    ]
    result = curated(*copies)
    assert result.pairs["id"].to_list() == ["pair-0000"]
    assert set(rules_of(result).values()) == {"near_duplicate"}
