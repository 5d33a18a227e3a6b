"""Synthetic tool-calling scenarios: a request, the tools offered, and the right answer; the same for the same seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.tool_calling.catalog import tasks
from grpo_pipeline.tool_calling.composed import ComposedSource
from grpo_pipeline.tool_calling.mistakes import mistaken
from grpo_pipeline.tool_calling.offered import Asked, OfferedTool, Source
from grpo_pipeline.tool_calling.small_talk import REFUSALS, draw_small_talk
from grpo_pipeline.tool_calling.written import WrittenSource, written_tools

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
# Share of the scenarios whose tools are written ones; the others' are composed of tables.
WRITTEN = 0.75


@dataclass(frozen=True)
class Scenario:
    """One request with its tools; `calls` is empty where the right answer is in words."""

    id: str
    category: str
    domain: str
    request: str
    tools: tuple[OfferedTool, ...]
    calls: tuple[ToolCall, ...]
    answer: str
    mistake: str
    """A wrong answer to the same request."""

    @property
    def schemas(self) -> str:
        """The tools offered, as JSON."""
        return json.dumps([tool.schema for tool in self.tools], ensure_ascii=False)


def _is_held_out(task: str) -> bool:
    return int(hashlib.sha256(task.encode()).hexdigest(), 16) % HELD_OUT_TASKS == 0


def _sources(held_out: bool) -> tuple[Source, Source]:
    composed = [task for task in tasks() if _is_held_out(task.described) == held_out]
    written = [tool for tool in written_tools() if _is_held_out(tool.name) == held_out]
    return WrittenSource(written), ComposedSource(composed)


def make_scenarios(count: int, seed: int, *, held_out: bool = False) -> list[Scenario]:
    """Draw scenarios, each other than the ones before.

    Args:
        count: how many; the first ones are the same for every count.
        seed: the same seed gives the same scenarios.
        held_out: of the tasks that training never sees.
    """
    rng = Random(f"{seed} {'held out' if held_out else 'train'}")
    written, composed = _sources(held_out)
    seen, found = set[str](), list[Scenario]()
    while len(found) < count:
        category = rng.choices(list(SHARES), list(SHARES.values()))[0]
        source = written if rng.random() < WRITTEN else composed
        scenario = _MAKERS[category](category, source, rng)
        if scenario.id in seen:
            continue
        seen.add(scenario.id)
        found.append(scenario)
    return found


def _scenario(category: str, asked: Asked, offered: Sequence[OfferedTool], words: str, rng: Random) -> Scenario:
    calls = () if words else asked.calls
    answer = words or "\n".join(format_tool_call(call) for call in calls)
    name = hashlib.sha256(json.dumps([asked.text, [tool.schema for tool in offered]]).encode()).hexdigest()[:16]
    mistake = mistaken(calls, offered, rng)
    return Scenario(name, category, offered[0].domain, asked.text, tuple(offered), calls, answer, mistake)


def _mixed(tools: Sequence[OfferedTool], others: Sequence[OfferedTool], rng: Random) -> list[OfferedTool]:
    """All of them in any order; of those with one name the first."""
    distinct = {tool.name: tool for tool in reversed([*tools, *others])}
    return rng.sample([*distinct.values()], len(distinct))


def _simple(category: str, source: Source, rng: Random) -> Scenario:
    asked = source.one(rng)
    return _scenario(category, asked, asked.tools, "", rng)


def _multiple(category: str, source: Source, rng: Random) -> Scenario:
    asked = source.one(rng)
    others = source.others(asked.tools[0], rng.choice((1, 1, 2, 2, 3)), rng)
    return _scenario(category, asked, _mixed(asked.tools, others, rng), "", rng)


def _parallel(category: str, source: Source, rng: Random) -> Scenario:
    asked = source.several(rng)
    return _scenario(category, asked, asked.tools, "", rng)


def _parallel_multiple(category: str, source: Source, rng: Random) -> Scenario:
    asked = source.two(rng)
    others = source.others(asked.tools[0], rng.choice((0, 1)), rng)
    return _scenario(category, asked, _mixed(asked.tools, others, rng), "", rng)


def _irrelevance(category: str, source: Source, rng: Random) -> Scenario:
    """None of the tools offered does what is asked for."""
    asked = source.one(rng)
    others = source.others(asked.tools[0], rng.choice((1, 1, 1, 2)), rng)
    return _scenario(category, asked, _mixed(others, (), rng), rng.choice(REFUSALS), rng)


def _no_tool(category: str, source: Source, rng: Random) -> Scenario:
    """Nothing that any tool is for."""
    request, answer = draw_small_talk(rng)
    asked = Asked(request, source.one(rng).tools, ())
    return _scenario(category, asked, asked.tools, answer, rng)


_MAKERS: dict[str, Callable[[str, Source, Random], Scenario]] = {
    "simple": _simple,
    "multiple": _multiple,
    "parallel": _parallel,
    "parallel_multiple": _parallel_multiple,
    "irrelevance": _irrelevance,
    "no_tool": _no_tool,
}
