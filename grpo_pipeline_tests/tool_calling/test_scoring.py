import json

import pytest

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.tool_calling.scoring import failure_kind, paired_difference, shares_by_category, wilson

WANTED = [ToolCall("find_hotels", {"city": "Oslo", "nights": 3})]


def answer(name: str = "find_hotels", **arguments: object) -> str:
    return format_tool_call(ToolCall(name, arguments))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (answer(city="Oslo", nights=3), None),
        (f"Sure.\n{answer(nights=3, city='Oslo')}", None),
        ("I cannot do that.", "no call"),
        ("<tool_call>\n{", "malformed call"),
        (answer(city="Oslo", nights=3) * 2, "number of calls"),
        (answer("find_flats", city="Oslo", nights=3), "tool"),
        (answer(city="Oslo"), "missing argument"),
        (answer(city="Oslo", nights=3, pets=True), "needless argument"),
        (answer(city="Oslo", nights=4), "value"),
        (answer(city="Oslo", nights="3"), "value"),
    ],
)
def test_every_failure_has_its_kind(text: str, kind: str | None) -> None:
    assert failure_kind(text, WANTED) == kind


def test_words_are_right_where_no_tool_fits() -> None:
    assert failure_kind("No tool fits.", []) is None
    assert failure_kind(answer(city="Oslo"), []) == "needless call"


def test_wilson_is_as_published() -> None:
    """Newcombe 1998 (https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E), table I."""
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert round(wilson(0, 20).high, 4) == 0.1611


def test_a_paired_difference_counts_what_changed() -> None:
    before = [True] * 40 + [False] * 60
    after = [True] * 38 + [False] * 2 + [True] * 18 + [False] * 42
    found = paired_difference(after, before)
    assert (found.gained, found.lost, found.n) == (18, 2, 100)
    assert found.difference == 0.16
    assert 0.06 < found.low < found.difference < found.high < 0.26
    assert found.p == pytest.approx(0.000402, abs=1e-6)
    same = paired_difference(before, before)
    assert same.low < 0 < same.high
    assert same.p == 1.0


def test_shares_are_by_category_and_over_all() -> None:
    found = shares_by_category({"a": True, "b": False, "c": True}, {"a": "x", "b": "x", "c": "y"})
    assert {name: (row["right"], row["n"]) for name, row in found.items()} == {"x": (1, 2), "y": (1, 1), "all": (2, 3)}
    json.dumps(found)
