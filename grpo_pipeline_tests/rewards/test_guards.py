import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_pipeline.rewards import guards

LONG = "Ramp grew its card volume by eighty percent and raised three hundred million dollars last year."


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (LONG, 0.0),
        ("grow grow grow grow grow grow grow grow", pytest.approx(-5 / 6)),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", pytest.approx(-47 / 48)),
        ("short", 0.0),
        ("", 0.0),
    ],
)
def test_repetition(completion: str, expected: float) -> None:
    assert guards.repetition([completion], chosen=[LONG]) == [expected]


def test_repetition_that_the_correction_has_too_is_free() -> None:
    table = "| a | b |\n| a | b |\n| a | b |"
    assert guards.repetition([table], chosen=[table]) == [0.0]


@pytest.mark.parametrize(
    ("length", "expected"), [(0, -1.0), (25, -0.5), (50, 0.0), (100, 0.0), (200, 0.0), (300, -0.5), (4000, -1.0)]
)
def test_length_ratio(length: int, expected: float) -> None:
    assert guards.length_ratio(["x" * length], chosen=["y" * 100]) == [pytest.approx(expected)]


@pytest.mark.parametrize(("completion", "expected"), [("", -1.0), (" \n\t", -1.0), ("ok", 0.0)])
def test_empty(completion: str, expected: float) -> None:
    assert guards.empty([completion]) == [expected]


@pytest.mark.parametrize(
    ("completion", "chosen", "expected"),
    [
        (LONG, "Yes, it grew.", -1.0),
        (LONG.upper(), "Yes, it grew.", -1.0),
        ("Revenue figures are not public for this company yet.", "Yes, it grew.", 0.0),
        (LONG, LONG, 0.0),
        ("Analyze @Ramp", "A fintech.", 0.0),
    ],
)
def test_prompt_copy(completion: str, chosen: str, expected: float) -> None:
    assert guards.prompt_copy([completion], chosen=[chosen], question=[f"Is this right? {LONG}"]) == [expected]


@pytest.mark.parametrize(
    ("completion", "expected"), [("<think>hm", -1.0), ("hm</think> yes", -1.0), ("I think so", 0.0)]
)
def test_leaked_thinking(completion: str, expected: float) -> None:
    assert guards.leaked_thinking([completion]) == [expected]


def test_truncated() -> None:
    assert guards.truncated(["cut", "whole"], cut=[True, False]) == [-1.0, 0.0]


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_guards_stay_between_minus_one_and_nothing(completion: str, chosen: str, question: str) -> None:
    columns = {"chosen": [chosen], "question": [question], "cut": [False]}
    for guard in (guards.repetition, guards.length_ratio, guards.empty, guards.prompt_copy, guards.leaked_thinking):
        (score,) = guard([completion], **columns)
        assert score is not None
        assert -1.0 <= score <= 0.0
