"""Tools composed of tables: a task, parameters with many names and types, and phrases that say their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.tool_calling.catalog import Task
from grpo_pipeline.tool_calling.drawing import other_items
from grpo_pipeline.tool_calling.offered import Asked, OfferedTool
from grpo_pipeline.tool_calling.requests import draw_request, several, values, word
from grpo_pipeline.tool_calling.tools import Tool, make_tool

# Requests for several things at once stay short enough to be read.
MOST_PARAMETERS = 3


@dataclass(frozen=True)
class ComposedSource:
    """Tools that are drawn anew for their task each time."""

    tasks: Sequence[Task]

    @cached_property
    def _short(self) -> list[Task]:
        return [task for task in self.tasks if len(task.required) <= MOST_PARAMETERS]

    def one(self, rng: Random) -> Asked:
        """A request for one call, oftener of tasks with more to say, as policies most often get arguments wrong."""
        weights = [1 + len(task.inline) + len(task.required) for task in self.tasks]
        tool = make_tool(rng.choices(self.tasks, weights)[0], rng)
        asked = draw_request(tool, rng)
        return Asked(word(asked, rng), (_offered(tool, rng),), (asked.call,))

    def several(self, rng: Random) -> Asked:
        """Several calls of one tool; in most of them the request says only what differs after the first."""
        calls: list[ToolCall] = []
        while len({format_tool_call(call) for call in calls}) < 2:
            tool = make_tool(rng.choice(self._short), rng)
            asked = [draw_request(tool, rng) for _ in range(rng.choice((2, 2, 2, 3)))]
            calls = [item.call for item in asked]
        if not tool.task.inline and all(item.phrases for item in asked) and rng.random() < 0.6:
            joint = rng.choice((" and ", ", and also ", ", then ", " and another "))
            text = f"{word(asked[0], rng).rstrip('.?')}{joint}{joint.join(values(item) for item in asked[1:])}."
        else:
            text = several(asked, rng)
        distinct = {format_tool_call(call): call for call in calls}
        return Asked(text, (_offered(tool, rng),), tuple(distinct.values()))

    def two(self, rng: Random) -> Asked:
        """A call of each of two tools."""
        first = make_tool(rng.choice(self._short), rng)
        second = first
        while second.name == first.name:
            second = make_tool(other_items(first.task, self._short, 1, rng)[0], rng)
        asked = [draw_request(first, rng), draw_request(second, rng)]
        tools = (_offered(first, rng), _offered(second, rng))
        return Asked(several(asked, rng), tools, tuple(item.call for item in asked))

    def others(self, tool: OfferedTool, count: int, rng: Random) -> list[OfferedTool]:
        """Tools for other tasks, many of the same domain."""
        asked = next(task for task in self.tasks if task.described == tool.task)
        return [_offered(make_tool(task, rng), rng) for task in other_items(asked, self.tasks, count, rng)]


def _offered(tool: Tool, rng: Random) -> OfferedTool:
    drawn = {slot.name: slot.kind.sample(rng).value for slot in tool.slots if slot.required and slot.kind}
    needless = ToolCall(tool.name, drawn)
    return OfferedTool(tool.name, tool.task.domain, tool.task.described, tool.schema, needless)
