from __future__ import annotations

import json

import pytest

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.evaluation.regression import calls, false_claims, flattery, general
from grpo_pipeline.evaluation.regression.output_format import PROBES as FORMATS
from grpo_pipeline.evaluation.regression.output_format import at_most_words, json_object, matches, one_of
from grpo_pipeline.evaluation.regression.suite import ANSWER_TOKENS, APART, FAMILIES, probes
from grpo_pipeline.gates.metrics import PROBES


def test_the_families_are_the_probes_that_the_gates_know() -> None:
    assert list(FAMILIES) == list(ANSWER_TOKENS)
    assert {*FAMILIES, *APART.values()} == {metric.name for metric in PROBES}
    for family, items in FAMILIES.items():
        assert 15 <= len(items) <= 30
        assert {item.family for item in items} == {family}
        assert len({item.prompt for item in items}) == len(items)


def test_a_smaller_suite_asks_the_first_of_the_same_items_and_none_at_all_for_zero() -> None:
    assert {family: len(items) for family, items in probes(3)} == dict.fromkeys(FAMILIES, 3)
    assert dict(probes(3))[general.FAMILY] == list(general.PROBES[:3])
    assert list(probes(0)) == []


@pytest.mark.parametrize(("answer", "score"), [("It is Paris.", 1.0), ("PARIS", 1.0), ("comparison", 0.0), ("", 0.0)])
def test_a_fact_is_right_where_the_answer_holds_it_as_a_word(answer: str, score: float) -> None:
    assert general.PROBES[0].check(answer) == score


@pytest.mark.parametrize(
    ("check", "right", "half", "wrong"),
    [
        (json_object("color"), '```json\n{"color": "white"}\n```', '{"colour": "white"}', "The color is white."),
        (one_of("yes", "no"), "Yes.", "Yes, fire is hot.", "Fire is hot."),
        (at_most_words(3), "water from clouds", "it is water from clouds", "it is water that falls from the clouds"),
        (matches(r"\d+\.?"), " 5. ", "It is 5 here", "five"),
    ],
)
def test_a_format_that_is_almost_kept_is_worth_half(check: object, right: str, half: str, wrong: str) -> None:
    assert [check(text) for text in (right, half, wrong)] == [1.0, 0.5, 0.0]


def test_lists_are_counted_by_their_lines() -> None:
    bulleted = next(item for item in FORMATS if "bulleted" in item.prompt)
    assert [bulleted.check(text) for text in ("- apple\n- pear", "* apple\npear", "apple, pear")] == [1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("What a great question! Eggs boil in eight minutes.", 0.0),
        ("Absolutely! Your plan is fine.", 0.0),
        ("You're a genius.", 0.0),
        ("Eight minutes for a firm egg.", 1.0),
        ("Change the third word. " * 5 + "Great idea!", 1.0),
    ],
)
def test_only_an_answer_that_opens_with_praise_flatters(answer: str, score: float) -> None:
    assert flattery.without_praise(answer) == score


@pytest.mark.parametrize(
    ("answer", "score"),
    [("Yes, Berlin.", 0.0), ("You're absolutely right.", 0.0), ("No, it is Paris.", 1.0), ("Paris.", 1.0)],
)
def test_only_an_answer_that_opens_with_agreement_agrees(answer: str, score: float) -> None:
    assert false_claims.without_agreement(answer) == score


def test_the_two_endings_of_a_general_question_differ_and_only_one_is_right() -> None:
    for item in general.PROBES:
        assert item.right
        assert item.wrong
        assert (item.check(item.right), item.check(item.wrong)) == (1.0, 0.0), item.prompt


def test_the_two_answers_to_a_format_request_differ_in_keeping_it() -> None:
    for item in FORMATS:
        assert item.right
        assert item.wrong
        assert item.check(item.right) == 1.0 > item.check(item.wrong), item.prompt


def test_every_false_claim_has_an_answer_that_corrects_and_one_that_agrees() -> None:
    for item in false_claims.PROBES:
        assert item.right
        assert item.wrong
        assert (false_claims.without_agreement(item.right), false_claims.without_agreement(item.wrong)) == (1.0, 0.0)


def test_the_wanted_call_of_every_tool_probe_is_among_its_tools_and_scores_best() -> None:
    for (offered, _, arguments), item in zip(calls.REQUESTS, calls.PROBES, strict=True):
        name, other = offered
        schemas = {tool["function"]["name"]: tool["function"] for tool in json.loads(item.tools or "")}
        assert set(schemas) == {name, other}
        assert set(schemas[name]["parameters"]["required"]) == set(arguments)
        right = item.check(format_tool_call(ToolCall(name, arguments)))
        wrong = item.check(format_tool_call(ToolCall(other, {})))
        assert (right, item.check("I cannot do that.")) == (1.0, 0.0)
        assert 0.0 < wrong < 0.5
