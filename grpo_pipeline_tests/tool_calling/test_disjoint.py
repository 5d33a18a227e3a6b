"""Nothing of the benchmark is trained on: neither its questions, nor near-duplicates of them, nor its functions."""

import pytest

from grpo_pipeline.benchmark.bfcl import BfclQuestion, load_questions
from grpo_pipeline.near_duplicates import PROMPT_WIDTH, neighbours, signatures
from grpo_pipeline.tool_calling.profiles import SCENARIOS
from grpo_pipeline.tool_calling.scenarios import Scenario, make_scenarios
from grpo_pipeline.tool_calling.written import written_tools

# Short requests for the same thing with other values are about 0.5 alike; copies with one word changed 0.8 and more.
ALIKE = 0.6


@pytest.fixture(scope="module")
def questions() -> list[BfclQuestion]:
    pytest.importorskip("bfcl_eval", reason="the benchmark's package is not installed")
    return load_questions()


@pytest.fixture(scope="module")
def trained_on() -> list[Scenario]:
    return make_scenarios(SCENARIOS["cpu"]["train"], seed=0)


def test_no_request_is_like_a_question_of_the_benchmark(
    questions: list[BfclQuestion], trained_on: list[Scenario]
) -> None:
    asked = signatures([item.text for item in questions], PROMPT_WIDTH)
    requests = signatures([item.request for item in trained_on], PROMPT_WIDTH)
    assert neighbours(requests, ALIKE, earlier=asked).rows() == []
    copies = signatures([item.text.replace("the", "a", 1) for item in questions], PROMPT_WIDTH)
    assert len(neighbours(copies, ALIKE, earlier=asked)) > 0.9 * len(questions)


def test_no_description_of_a_written_tool_is_like_one_of_the_benchmark(questions: list[BfclQuestion]) -> None:
    described = {function["description"] for item in questions for function in item.functions}
    theirs = signatures(sorted(described), PROMPT_WIDTH)
    ours = signatures([tool.about for tool in written_tools()], PROMPT_WIDTH)
    assert neighbours(ours, ALIKE, earlier=theirs).rows() == []


def test_no_tool_has_the_name_of_a_function_of_the_benchmark(
    questions: list[BfclQuestion], trained_on: list[Scenario]
) -> None:
    def plain(name: str) -> str:
        return name.lower().replace("_", "").replace(".", "")

    known = {plain(function["name"]) for item in questions for function in item.functions}
    offered = {plain(tool.name) for item in trained_on for tool in item.tools}
    offered |= {plain(tool.name) for tool in written_tools()}
    assert len(known) > 800
    assert known & offered == set()
