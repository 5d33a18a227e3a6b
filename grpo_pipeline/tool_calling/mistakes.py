"""Wrong answers of the kinds that models give, as the rejected side of a scenario's pair."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.tool_calling.offered import OfferedTool


def mistaken(calls: Sequence[ToolCall], tools: Sequence[OfferedTool], rng: Random) -> str:
    """A wrong answer: a call where none belongs, no call, a missing one, or one with a wrong tool or argument."""
    if not calls:
        return format_tool_call(rng.choice(tools).needless_call)
    if rng.random() < 0.1:
        return "I cannot do that."
    if len(calls) > 1 and rng.random() < 0.4:
        return "\n".join(format_tool_call(call) for call in calls[:-1])
    spoiled = rng.randrange(len(calls))
    wrong = [_spoiled(call, tools, rng) if place == spoiled else call for place, call in enumerate(calls)]
    return "\n".join(format_tool_call(call) for call in wrong)


def _spoiled(call: ToolCall, tools: Sequence[OfferedTool], rng: Random) -> ToolCall:
    others = [tool.name for tool in tools if tool.name != call.name]
    if others and rng.random() < 0.4:
        return ToolCall(rng.choice(others), call.arguments)
    if not call.arguments:
        return ToolCall(f"{call.name}_all", {})
    name = rng.choice(list(call.arguments))
    if rng.random() < 0.3:
        return ToolCall(call.name, {key: value for key, value in call.arguments.items() if key != name})
    return ToolCall(call.name, {**call.arguments, name: _other_value(call.arguments[name])})


def _other_value(value: Any) -> Any:  # noqa: ANN401
    match value:
        case bool():
            return not value
        case int() | float():
            return value * 10 if value else 1
        case str():
            return value.split()[0] if " " in value else f"{value}s"
        case list():
            return value[:-1]
    return {name: _other_value(item) for name, item in value.items()}
