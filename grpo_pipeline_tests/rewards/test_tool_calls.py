import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_pipeline.rewards.tool_calls import tool_call, value_credit


def call(name: str, **arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


CORRECTION = call("get_funding", company="Ramp", year=2024)


def score(answer: str, correction: str = CORRECTION) -> float | None:
    return tool_call([answer], chosen=[correction])[0]


def test_every_failure_has_its_rank() -> None:
    worst_to_best = [
        "Ramp raised a lot of money.",
        '<tool_call>\n{"name": "get_funding", "arguments": {"company"',
        call("get_weather", company="Ramp", year=2024),
        call("get_funding", company="Ramp"),
        call("get_funding", company="Ramp", year="2024"),
        call("get_funding", company="Ramp", year=1),
        call("get_funding", company="Ramp", year=2023),
        CORRECTION,
    ]
    scores = [score(answer) for answer in worst_to_best]
    assert scores[0] == -1.0
    assert scores[-1] == 1.0
    assert all(worse < better for worse, better in pairwise(scores)), scores
    # Neither could be carried out.
    assert score(call("get_funding")) == score(call("get_weather", company="Ramp", year=2024))


def test_no_missing_argument_is_as_good_as_any_guess_or_one_too_many() -> None:
    missing = score(call("get_funding", company="Ramp"))
    assert missing is not None
    for guess in (
        call("get_funding", company="Amp", year="soon"),
        call("get_funding", company="Ramp", year=2024, currency="USD", round="A"),
    ):
        guessed = score(guess)
        assert guessed is not None
        assert missing < guessed


@pytest.mark.parametrize(
    ("answer", "correction", "expected"),
    [
        ("Plain answer.", "Plain correction.", None),
        (call("get_funding", company="Ramp"), "Plain correction.", -1.0),
        ("<tool_call> half a call", "Plain correction.", -1.0),
        ("Plain answer.", "<tool_call> malformed correction", None),
        ("", CORRECTION, -1.0),
        ('{"name": "get_funding", "arguments": {"year": 2024, "company": "Ramp"}}', CORRECTION, 1.0),
        (f"Let me look that up.\n{CORRECTION}", CORRECTION, 1.0),
        (call("now"), call("now"), 1.0),
    ],
)
def test_a_call_where_it_belongs(answer: str, correction: str, expected: float | None) -> None:
    assert score(answer, correction) == expected


def test_an_argument_too_many_costs_less_than_the_call_itself() -> None:
    extra = score(call("get_funding", company="Ramp", year=2024, currency="USD"))
    assert extra is not None
    assert -1.0 < extra < 1.0


def test_calls_count_in_any_order_and_a_spurious_one_costs() -> None:
    first, second = call("get_funding", company="Ramp"), call("get_funding", company="Brex")
    assert score(f"{second}\n{first}", f"{first}\n{second}") == 1.0
    missing, spurious = score(first, f"{first}\n{second}"), score(f"{first}\n{second}", first)
    assert missing == spurious
    assert missing is not None
    assert -1.0 < missing < 0.0


def test_the_nearest_miss_is_well_below_the_right_call() -> None:
    near = score(call("get_funding", company="Ramp", year=2025))
    assert near is not None
    assert near < 0.25


@pytest.mark.parametrize(
    ("far", "near", "wanted"),
    [
        ("Stripe", "Ramp Inc", "Ramp"),
        (10, 90, 100),
        (-100, 99.5, 100),
        (["x"], ["a", "c"], ["a", "b"]),
        ({"from": 1}, {"from": 1, "to": 3}, {"from": 1, "to": 2}),
        ("true", False, True),
    ],
)
def test_a_near_value_earns_more_than_a_far_one(far: object, near: object, wanted: object) -> None:
    assert 0 < value_credit(far, wanted) < value_credit(near, wanted) < value_credit(wanted, wanted) == 1.0


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_any_value_earns_something_and_only_the_right_one_everything(value: object, wanted: object) -> None:
    assert 0.3 <= value_credit(value, wanted) <= 1.0
    assert value_credit(wanted, wanted) == 1.0
