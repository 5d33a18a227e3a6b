import importlib.util
from typing import Any

import pytest

from grpo_pipeline.benchmark.bfcl import CATEGORIES, IRRELEVANCE, BfclQuestion, fault, load_questions
from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.errors import PipelineError

# Questions whose first accepted answer the benchmark's own checker refuses: their schemas and answers disagree.
REFUSED_BY_ITSELF = 5


@pytest.fixture(scope="module")
def questions() -> list[BfclQuestion]:
    pytest.importorskip("bfcl_eval", reason="the benchmark's package is not installed")
    return load_questions()


def accepted(values: list[Any]) -> Any:  # noqa: ANN401
    """The first value that the benchmark accepts for an argument."""
    value = next((item for item in values if item != ""), "")
    if isinstance(value, dict):
        return {name: accepted(inner) for name, inner in value.items() if accepted(inner) != ""}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [{name: accepted(inner) for name, inner in item.items()} for item in value]
    return value


def right_answer(question: BfclQuestion) -> str:
    calls = [
        ToolCall(name, {key: accepted(values) for key, values in arguments.items() if "" not in values})
        for call in question.wanted
        for name, arguments in call.items()
    ]
    return "\n".join(format_tool_call(call) for call in calls) or "No function fits."


def test_accepted_answers_pass_and_others_do_not(questions: list[BfclQuestion]) -> None:
    assert {question.category for question in questions} == set(CATEGORIES)
    refused = [question.id for question in questions if fault(question, right_answer(question))]
    assert len(refused) == REFUSED_BY_ITSELF
    wrong = format_tool_call(ToolCall("no_such_function", {}))
    assert not [question.id for question in questions if fault(question, wrong) is None]


def test_silence_is_right_only_where_no_function_fits(questions: list[BfclQuestion]) -> None:
    for question in questions:
        assert (fault(question, "I cannot help with that.") is None) == (question.category == IRRELEVANCE)


def test_types_are_those_of_json_schema(questions: list[BfclQuestion]) -> None:
    assert not [item.id for item in questions if '"type": "dict"' in item.tools or '"type": "float"' in item.tools]


def test_the_first_questions_of_a_category_are_chosen(questions: list[BfclQuestion]) -> None:
    chosen = load_questions(["parallel"], 3)
    assert chosen == [question for question in questions if question.category == "parallel"][:3]


def test_an_unknown_category_is_named() -> None:
    with pytest.raises(PipelineError, match="No category java: choose from simple_python"):
        load_questions(["java"])


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PipelineError, match="pip install --no-deps bfcl-eval"):
        load_questions(["parallel"])
