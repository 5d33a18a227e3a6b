import json
from typing import Any

import pytest

from grpo_pipeline.conversation import ToolCall, parse_tool_calls
from grpo_pipeline.rewards.tool_calls import tool_call
from grpo_pipeline.tool_calling.catalog import parameters, pools, tasks
from grpo_pipeline.tool_calling.dataset import scenario_frame
from grpo_pipeline.tool_calling.scenarios import SHARES, Scenario, make_scenarios
from grpo_pipeline_tests.tool_calling.schemas import KINDS, argument_faults

COUNT = 1_500


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    return make_scenarios(COUNT, seed=3)


def schema_of(call: ToolCall, scenario: Scenario) -> dict[str, Any]:
    offered = {item["function"]["name"]: item["function"]["parameters"] for item in json.loads(scenario.schemas)}
    parameters: dict[str, Any] = offered[call.name]
    return parameters


def test_the_same_seed_gives_the_same_scenarios_and_more_of_them_begin_alike() -> None:
    some, more, others = (scenario_frame(make_scenarios(count, seed)) for count, seed in ((60, 1), (90, 1), (60, 2)))
    assert some.equals(more.head(60))
    assert not some.equals(others)


def test_every_call_passes_its_own_schema(scenarios: list[Scenario]) -> None:
    wrong = [
        fault
        for item in scenarios
        for call in item.calls
        for fault in argument_faults(call.arguments, schema_of(call, item))
    ]
    assert wrong == []


def test_every_right_answer_earns_everything_and_every_mistake_less(scenarios: list[Scenario]) -> None:
    answers = [item.answer for item in scenarios]
    right = tool_call(answers, chosen=answers)
    assert {score for item, score in zip(scenarios, right, strict=True) if item.calls} == {1.0}
    assert {score for item, score in zip(scenarios, right, strict=True) if not item.calls} == {None}
    wrong = tool_call([item.mistake for item in scenarios], chosen=answers)
    assert all(score is not None and score < 1.0 for score in wrong)


def test_answers_are_written_as_the_reward_reads_them(scenarios: list[Scenario]) -> None:
    assert all(parse_tool_calls(item.answer) == list(item.calls) for item in scenarios)


def test_every_category_is_there_with_what_it_is_named_for(scenarios: list[Scenario]) -> None:
    by_category = {name: [item for item in scenarios if item.category == name] for name in SHARES}
    assert all(
        len(items) > 0.6 * share * COUNT for items, share in zip(by_category.values(), SHARES.values(), strict=True)
    )
    assert all(len(item.tools) == len(item.calls) == 1 for item in by_category["simple"])
    assert all(len(item.calls) == 1 for item in by_category["multiple"])
    assert sum(len(item.tools) > 1 for item in by_category["multiple"]) > 0.95 * len(by_category["multiple"])
    for item in by_category["parallel"]:
        assert len(item.calls) >= 2
        assert len({call.name for call in item.calls}) == 1
    assert all(len({call.name for call in item.calls}) == 2 for item in by_category["parallel_multiple"])
    assert not any(item.calls for item in by_category["irrelevance"] + by_category["no_tool"])


def test_tools_of_one_scenario_have_different_names(scenarios: list[Scenario]) -> None:
    assert all(len({tool.name for tool in item.tools}) == len(item.tools) for item in scenarios)


def test_words_and_numbers_of_the_call_stand_in_the_request(scenarios: list[Scenario]) -> None:
    """Of some only in another form: dates, rates, currencies, numbers in words, choices told by their meaning."""
    said = total = 0
    for item in scenarios:
        text = item.request.replace(",", "")
        for call in item.calls:
            values = [value for value in call.arguments.values() if isinstance(value, str | int | float)]
            said += sum(str(value).replace(",", "") in text for value in values)
            total += len(values)
    assert said > 0.65 * total


def test_held_out_scenarios_ask_for_other_tasks(scenarios: list[Scenario]) -> None:
    held_out = make_scenarios(400, seed=3, held_out=True)
    sides = [{tool.task for item in side for tool in item.tools} for side in (scenarios, held_out)]
    assert len(sides[1]) > 20
    assert sides[0] & sides[1] == set()


def test_tools_are_many_and_varied(scenarios: list[Scenario]) -> None:
    names = {tool.name for item in scenarios for tool in item.tools}
    properties = [tool.schema["function"]["parameters"]["properties"] for item in scenarios for tool in item.tools]
    arguments = {name for found in properties for name in found}
    assert len(names) > 1_000
    assert len(arguments) > 400
    types = {schema["type"] for found in properties for schema in found.values()}
    assert types == set(KINDS)


def test_the_tables_fit_together() -> None:
    for task in tasks():
        unknown = {*task.inline, *task.required, *task.optional} - set(parameters())
        assert not unknown, (task.what, unknown)
    for parameter in parameters().values():
        if "pool" in parameter.kind:
            assert parameter.kind[-1] in pools(), parameter.key
    assert len({(task.domain, task.verb, task.what) for task in tasks()}) == len(tasks()) > 350
