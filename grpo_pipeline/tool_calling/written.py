"""Tools as people write them: schemas and requests in natural words, with the values that requests may say.

A line of the table is one tool. `values` are what a {parameter} of a request may stand for, as value and saying where a
person says it otherwise; `given` is what the words of one request decide; in `parallel` requests {parameter.2} is the
value of the second call, and a {parameter} without a number that of all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from random import Random
from typing import Any

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.tool_calling.drawing import other_items
from grpo_pipeline.tool_calling.kinds import Said
from grpo_pipeline.tool_calling.offered import Asked, OfferedTool

TABLE = Path(__file__).parent / "written_tools.jsonl"
# {parameter}, or {parameter.2} for its value in the second of several calls.
SLOT = re.compile(r"{(\w+)(?:\.(\d))?}")
# Parameters that a request leaves out are left out of the schema in so many tools, and the others change places.
DROPPED, REORDERED = 0.25, 0.3


@dataclass(frozen=True)
class Wording:
    """One way to ask for a call: a text with {parameter} for values, and values that its words decide."""

    text: str
    given: Mapping[str, Any]

    @property
    def slots(self) -> list[tuple[str, str]]:
        """Parameter and number of its call, which is empty where all calls share the value."""
        return SLOT.findall(self.text)


@dataclass(frozen=True)
class WrittenTool:
    """One line of the table."""

    name: str
    domain: str
    about: str
    parameters: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    values: Mapping[str, tuple[Said, ...]]
    requests: tuple[Wording, ...]
    parallel: tuple[Wording, ...]
    """Wordings that ask for several calls."""


def _said(entry: Any) -> Said:  # noqa: ANN401
    return Said(entry["value"], entry["say"]) if isinstance(entry, dict) else Said(entry, str(entry))


def _wording(entry: str | dict[str, Any]) -> Wording:
    return Wording(entry, {}) if isinstance(entry, str) else Wording(entry["say"], entry.get("given", {}))


@cache
def written_tools() -> tuple[WrittenTool, ...]:
    """Every written tool, in the order of the table."""
    rows = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
    return tuple(
        WrittenTool(
            row["name"],
            row["domain"],
            row["description"],
            row["parameters"],
            tuple(row["required"]),
            {name: tuple(_said(entry) for entry in entries) for name, entries in row["values"].items()},
            tuple(_wording(entry) for entry in row["requests"]),
            tuple(_wording(entry) for entry in row.get("parallel", ())),
        )
        for row in rows
    )


@dataclass(frozen=True)
class WrittenSource:
    """Written tools, and requests for them."""

    tools: Sequence[WrittenTool]

    @cached_property
    def _with_parallel(self) -> list[WrittenTool]:
        return [tool for tool in self.tools if tool.parallel]

    def one(self, rng: Random) -> Asked:
        """A request that wants one call."""
        tool = rng.choice(self.tools)
        return _asked(tool, tool.requests, rng)

    def several(self, rng: Random) -> Asked:
        """A request that wants several calls of one tool."""
        while True:
            tool = rng.choice(self._with_parallel)
            asked = _asked(tool, tool.parallel, rng)
            if len({format_tool_call(call) for call in asked.calls}) > 1:
                return asked

    def two(self, rng: Random) -> Asked:
        """A request that wants a call of each of two tools."""
        first = rng.choice(self.tools)
        second = other_items(first, self.tools, 1, rng)[0]
        asked = [_asked(tool, tool.requests, rng) for tool in (first, second)]
        joint = rng.choice((" ", " ", " Also: ", " And one more thing: ", " Then: "))
        text = joint.join(item.text if item.text.endswith((".", "?", "!")) else f"{item.text}." for item in asked)
        return Asked(text, (*asked[0].tools, *asked[1].tools), (*asked[0].calls, *asked[1].calls))

    def others(self, tool: OfferedTool, count: int, rng: Random) -> list[OfferedTool]:
        """Tools for other tasks, many of the same domain."""
        asked = next(item for item in self.tools if item.name == tool.task)
        return [_offered(item, (), rng) for item in other_items(asked, self.tools, count, rng)]


def _asked(tool: WrittenTool, wordings: Sequence[Wording], rng: Random) -> Asked:
    wording, drawn = _drawn(tool, wordings, rng)
    text = SLOT.sub(lambda match: drawn[match[1], match[2] or ""].text, wording.text)
    offered = _offered(tool, {*wording.given, *(name for name, _ in drawn)}, rng)
    order = offered.schema["function"]["parameters"]["properties"]
    numbers = sorted({number for _, number in drawn if number}) or [""]
    calls = [ToolCall(tool.name, _arguments(order, wording, drawn, number)) for number in numbers]
    distinct = {format_tool_call(call): call for call in calls}
    return Asked(text, (offered,), tuple(distinct.values()))


def _drawn(tool: WrittenTool, wordings: Sequence[Wording], rng: Random) -> tuple[Wording, dict[tuple[str, str], Said]]:
    wording = rng.choice(wordings)
    return wording, {(name, number): rng.choice(tool.values[name]) for name, number in sorted(set(wording.slots))}


def _arguments(
    order: Iterable[str], wording: Wording, drawn: Mapping[tuple[str, str], Said], number: str
) -> dict[str, Any]:
    """The arguments of one call, in the order of the schema: another one would be a guess that teaches nothing."""
    said = {**wording.given, **{name: item.value for (name, of), item in drawn.items() if of in ("", number)}}
    return {name: said[name] for name in order if name in said}


def _offered(tool: WrittenTool, spoken: Collection[str], rng: Random) -> OfferedTool:
    kept = [name for name in tool.parameters if name in tool.required or name in spoken or rng.random() > DROPPED]
    if rng.random() < REORDERED:
        rng.shuffle(kept)
    function = {
        "name": tool.name,
        "description": tool.about,
        "parameters": {
            "type": "object",
            "properties": {name: dict(tool.parameters[name]) for name in kept},
            "required": list(tool.required),
        },
    }
    needless = ToolCall(tool.name, _arguments(kept, *_drawn(tool, tool.requests, rng), ""))
    return OfferedTool(tool.name, tool.domain, tool.name, {"type": "function", "function": function}, needless)
