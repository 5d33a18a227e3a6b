"""Synthetic tool-calling scenarios: a request, the tools offered, and the right answer; the same for the same seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.tool_calling.catalog import Task, tasks
from grpo_pipeline.tool_calling.mistakes import mistaken
from grpo_pipeline.tool_calling.requests import draw_request, several, values, word
from grpo_pipeline.tool_calling.small_talk import REFUSALS, draw_small_talk
from grpo_pipeline.tool_calling.tools import Tool, make_tool

# Category and share of the scenarios.
SHARES = {
    "simple": 0.52,
    "multiple": 0.2,
    "parallel": 0.09,
    "parallel_multiple": 0.03,
    "irrelevance": 0.12,
    "no_tool": 0.04,
}
# One task in so many is only asked for in held-out scenarios: its tools are new to the policy.
HELD_OUT_TASKS = 8
SAME_DOMAIN = 0.6
# Requests for several things at once stay short enough to be read.
MOST_PARAMETERS = 3


@dataclass(frozen=True)
class Scenario:
    """One request with its tools; `calls` is empty where the right answer is in words."""

    id: str
    category: str
    domain: str
    request: str
    tools: tuple[Tool, ...]
    calls: tuple[ToolCall, ...]
    answer: str
    mistake: str
    """A wrong answer to the same request."""

    @property
    def schemas(self) -> str:
        """The tools offered, as JSON."""
        return json.dumps([tool.schema for tool in self.tools], ensure_ascii=False)


def _is_held_out(task: Task) -> bool:
    return int(hashlib.sha256(f"{task.domain} {task.verb} {task.what}".encode()).hexdigest(), 16) % HELD_OUT_TASKS == 0


def make_scenarios(count: int, seed: int, *, held_out: bool = False) -> list[Scenario]:
    """Draw scenarios, each other than the ones before.

    Args:
        count: how many; the first ones are the same for every count.
        seed: the same seed gives the same scenarios.
        held_out: of the tasks that training never sees.
    """
    rng = Random(f"{seed} {'held out' if held_out else 'train'}")
    known = [task for task in tasks() if _is_held_out(task) == held_out]
    seen, found = set[str](), list[Scenario]()
    while len(found) < count:
        category = rng.choices(list(SHARES), list(SHARES.values()))[0]
        scenario = _MAKERS[category](category, known, rng)
        if scenario.id in seen:
            continue
        seen.add(scenario.id)
        found.append(scenario)
    return found


def _scenario(
    category: str, request: str, tools: Sequence[Tool], calls: Sequence[ToolCall], words: str, rng: Random
) -> Scenario:
    answer = "\n".join(format_tool_call(call) for call in calls) if calls else words
    name = hashlib.sha256(json.dumps([request, [tool.schema for tool in tools]]).encode()).hexdigest()[:16]
    mistake = mistaken(calls, tools, rng)
    return Scenario(name, category, tools[0].task.domain, request, tuple(tools), tuple(calls), answer, mistake)


def _others(task: Task, known: Sequence[Task], count: int, rng: Random) -> list[Tool]:
    """Tools for other tasks, many of the same domain."""
    near = [other for other in known if other.domain == task.domain and other != task]
    far = [other for other in known if other.domain != task.domain]
    found: list[Task] = []
    while len(found) < count:
        other = rng.choice(near if near and rng.random() < SAME_DOMAIN else far)
        near = [item for item in near if item != other]
        found.append(other)
    return [make_tool(other, rng) for other in found]


def _mixed_names(tool: Tool, others: Sequence[Tool]) -> list[Tool]:
    """The others by names that differ from the tool's and from each other's."""
    return [*{other.name: other for other in others if other.name != tool.name}.values()]


def _mixed(tool: Tool, others: Sequence[Tool], rng: Random) -> list[Tool]:
    distinct = _mixed_names(tool, others)
    return rng.sample([tool, *distinct], 1 + len(distinct))


def _drawn(known: Sequence[Task], rng: Random) -> Task:
    """A task, those with more to say more often: what policies get wrong is most often an argument."""
    return rng.choices(known, [1 + len(task.inline) + len(task.required) for task in known])[0]


def _simple(category: str, known: Sequence[Task], rng: Random) -> Scenario:
    tool = make_tool(_drawn(known, rng), rng)
    asked = draw_request(tool, rng)
    return _scenario(category, word(asked, rng), [tool], [asked.call], "", rng)


def _multiple(category: str, known: Sequence[Task], rng: Random) -> Scenario:
    tool = make_tool(_drawn(known, rng), rng)
    asked = draw_request(tool, rng)
    offered = _mixed(tool, _others(tool.task, known, rng.choice((1, 1, 2, 2, 3)), rng), rng)
    return _scenario(category, word(asked, rng), offered, [asked.call], "", rng)


def _parallel(category: str, known: Sequence[Task], rng: Random) -> Scenario:
    """Several calls of one tool; in most of them the request says only what differs after the first."""
    calls: list[ToolCall] = []
    while len({format_tool_call(call) for call in calls}) < 2:
        tool = make_tool(rng.choice([task for task in known if len(task.required) <= MOST_PARAMETERS]), rng)
        asked = [draw_request(tool, rng) for _ in range(rng.choice((2, 2, 2, 3)))]
        calls = [item.call for item in asked]
    if not tool.task.inline and all(item.phrases for item in asked) and rng.random() < 0.6:
        joint = rng.choice((" and ", ", and also ", ", then ", " and another "))
        text = f"{word(asked[0], rng).rstrip('.?')}{joint}{joint.join(values(item) for item in asked[1:])}."
    else:
        text = several(asked, rng)
    return _scenario(category, text, [tool], list({format_tool_call(call): call for call in calls}.values()), "", rng)


def _parallel_multiple(category: str, known: Sequence[Task], rng: Random) -> Scenario:
    short = [task for task in known if len(task.required) <= MOST_PARAMETERS]
    first = make_tool(rng.choice(short), rng)
    second, *others = _mixed_names(first, _others(first.task, short, rng.choice((1, 2)), rng))
    asked = [draw_request(first, rng), draw_request(second, rng)]
    offered = rng.sample([first, second, *others], 2 + len(others))
    return _scenario(category, several(asked, rng), offered, [item.call for item in asked], "", rng)


def _irrelevance(category: str, known: Sequence[Task], rng: Random) -> Scenario:
    """None of the tools offered does what is asked for."""
    asked = draw_request(make_tool(rng.choice(known), rng), rng)
    offered = _others(asked.tool.task, known, rng.choice((1, 1, 1, 2)), rng)
    return _scenario(category, word(asked, rng), offered, [], rng.choice(REFUSALS), rng)


def _no_tool(category: str, known: Sequence[Task], rng: Random) -> Scenario:
    """Nothing that any tool is for."""
    request, answer = draw_small_talk(rng)
    return _scenario(category, request, [make_tool(rng.choice(known), rng)], [], answer, rng)


_MAKERS: dict[str, Callable[[str, Sequence[Task], Random], Scenario]] = {
    "simple": _simple,
    "multiple": _multiple,
    "parallel": _parallel,
    "parallel_multiple": _parallel_multiple,
    "irrelevance": _irrelevance,
    "no_tool": _no_tool,
}
