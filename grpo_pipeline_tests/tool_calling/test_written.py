"""The table of written tools: every line can be drawn from, whatever values its requests say."""

from collections import Counter
from dataclasses import replace
from random import Random

from grpo_pipeline.tool_calling.written import Wording, WrittenSource, WrittenTool, written_tools
from grpo_pipeline_tests.tool_calling.schemas import faults

TOOLS = written_tools()


def wordings(tool: WrittenTool) -> list[Wording]:
    return [*tool.requests, *tool.parallel]


def test_every_request_says_what_its_call_needs() -> None:
    for tool in TOOLS:
        for wording in wordings(tool):
            said = {name for name, _ in wording.slots} | set(wording.given)
            assert set(tool.required) <= said <= set(tool.parameters), (tool.name, wording.text)
        assert all(len({number for _, number in item.slots if number}) > 1 for item in tool.parallel), tool.name
        assert not any(number for item in tool.requests for _, number in item.slots), tool.name


def test_every_value_passes_its_schema() -> None:
    for tool in TOOLS:
        values = [(name, item.value) for name, items in tool.values.items() for item in items]
        values += [(name, value) for wording in wordings(tool) for name, value in wording.given.items()]
        found = [fault for name, value in values for fault in faults(value, dict(tool.parameters[name]))]
        assert found == [], tool.name


def test_there_are_many_tools_of_many_domains_and_ways_to_ask_for_them() -> None:
    assert len({tool.name for tool in TOOLS}) == len(TOOLS) > 400
    assert len({tool.domain for tool in TOOLS}) > 40
    openings = Counter(" ".join(item.text.split()[:3]).lower() for tool in TOOLS for item in tool.requests)
    requests = sum(openings.values())
    assert len(openings) > 0.5 * requests
    asked = [(tool, item) for tool in TOOLS for item in tool.requests]
    leaving_out = sum(set(tool.parameters) > {*dict(item.slots), *item.given} for tool, item in asked)
    assert 0.3 * requests < leaving_out < 0.9 * requests


def test_a_drawn_call_holds_what_its_words_decide_and_nothing_else() -> None:
    for tool in TOOLS:
        for wording in tool.requests:
            asked = WrittenSource([replace(tool, requests=(wording,))]).one(Random(tool.name))
            [call], [offered] = asked.calls, asked.tools
            said = {name for name, _ in wording.slots}
            assert set(call.arguments) == said | set(wording.given), wording.text
            assert call.arguments.items() >= wording.given.items()
            assert set(call.arguments) <= set(offered.schema["function"]["parameters"]["properties"])
            texts = {
                name: [item.text for item in tool.values[name] if item.value == call.arguments[name]] for name in said
            }
            assert all(any(text in asked.text for text in found) for found in texts.values()), asked.text


def test_values_are_there_for_what_requests_say_alone() -> None:
    for tool in TOOLS:
        assert set(tool.values) == {name for wording in wordings(tool) for name, _ in wording.slots}, tool.name


def test_calls_of_one_request_differ_where_its_numbers_do() -> None:
    tool = next(item for item in TOOLS if item.name == "tide_times")
    wording = next(item for item in tool.parallel if "{date.1}" in item.text)
    first, second = WrittenSource([replace(tool, parallel=(wording,))]).several(Random(3)).calls
    assert first.arguments["harbor"] == second.arguments["harbor"]
    assert first.arguments["date"] != second.arguments["date"]


def test_arguments_stand_in_the_order_of_the_schema() -> None:
    source = WrittenSource(TOOLS)
    for seed in range(300):
        asked = source.one(Random(seed))
        [call], [tool] = asked.calls, asked.tools
        properties = tool.schema["function"]["parameters"]["properties"]
        assert list(call.arguments) == [name for name in properties if name in call.arguments]
