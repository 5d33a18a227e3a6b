"""Tools as scenarios offer them: a task with a name, a description and typed parameters, each time another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import Any

from grpo_pipeline.tool_calling.catalog import COMPUTE, LOOKUP, PLACEHOLDER, SEARCH, Parameter, Task, parameters
from grpo_pipeline.tool_calling.kinds import Kind
from grpo_pipeline.tool_calling.values import make_kind

NAME_VERBS = {
    COMPUTE: ("calculate", "compute", "calc", "get", "find", "determine", "estimate", "evaluate", ""),
    LOOKUP: ("get", "lookup", "fetch", "retrieve", "find", "check", "show", "query", ""),
    SEARCH: ("search", "find", "list", "browse", "discover", "query", "get"),
}
DESCRIBED_VERBS = {
    COMPUTE: ("Calculate", "Compute", "Calculates", "Returns", "Determine", "Work out"),
    LOOKUP: ("Get", "Retrieve", "Look up", "Returns", "Fetch", "Provides"),
    SEARCH: ("Search for", "Find", "List", "Finds", "Returns matching results for"),
}
FILLERS = {"the", "a", "an", "of", "in", "for", "to", "my", "with", "on", "and", "between", "two", "all", "by", "from"}
FILLERS |= {"me", "some", "after", "several", "about", "with", "its", "that"}
# Shares of tools whose optional parameter becomes needed, or whose needed one may be left out.
TIGHTENED, LOOSENED = 0.3, 0.08
KEPT_OPTIONAL = 0.65


@dataclass(frozen=True)
class Slot:
    """One parameter of one tool; a group holds slots of its own."""

    parameter: Parameter
    name: str
    about: str
    required: bool
    kind: Kind | None
    parts: tuple[Slot, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """The parameter's JSON schema."""
        if self.kind is not None:
            return {**self.kind.schema, "description": self.about}
        return {
            "type": "object",
            "description": self.about,
            "properties": {part.name: part.schema for part in self.parts},
            "required": [part.name for part in self.parts],
        }


@dataclass(frozen=True)
class Tool:
    """One tool; `slots` are in the order of its schema."""

    task: Task
    name: str
    about: str
    slots: tuple[Slot, ...]

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as chat templates want it."""
        needed = [slot.name for slot in self.slots if slot.required]
        properties = {slot.name: slot.schema for slot in self.slots}
        function = {
            "name": self.name,
            "description": self.about,
            "parameters": {"type": "object", "properties": properties, "required": needed},
        }
        return {"type": "function", "function": function}


def make_tool(task: Task, rng: Random) -> Tool:
    """A tool for a task: names, types, units, formats and which parameters are needed are drawn anew."""
    known, taken = parameters(), set[str]()
    slots = []
    for key in (*task.inline, *task.required, *task.optional):
        needed = key in task.inline or (key in task.required and (rng.random() > LOOSENED or len(task.required) == 1))
        if key in task.optional:
            if rng.random() > KEPT_OPTIONAL:
                continue
            needed = rng.random() < TIGHTENED
        slots.append(_slot(known[key], needed, taken, rng))
    return Tool(task, _name(task, rng), _about(task, slots, rng), tuple(slots))


def _slot(parameter: Parameter, required: bool, taken: set[str], rng: Random) -> Slot:
    # The first name is the plainest; it is taken more often, as it is in the tools that people write.
    free = [name for name in (parameter.names[0], *parameter.names) if name not in taken]
    name = rng.choice(free) if free else f"{parameter.key}_{len(taken)}"
    taken.add(name)
    if parameter.kind[0] == "object":
        inner = set[str]()
        parts = tuple(_slot(parameters()[key], True, inner, rng) for key in parameter.kind[1:])
        return Slot(parameter, name, _sentence(parameter.about, rng), required, None, parts)
    kind = make_kind(parameter, rng)
    about = f"{parameter.about}{' ' if kind.note else ''}{kind.note}"
    if not required and rng.random() < 0.35:
        about += f". {rng.choice(('Optional', 'Default is none', 'Optional parameter', 'Leave out if not given'))}"
    return Slot(parameter, name, _sentence(about, rng), required, kind)


def _sentence(text: str, rng: Random) -> str:
    varied = (
        f"The {text[0].lower()}{text[1:]}" if rng.random() < 0.4 and not text.startswith(("Whether", "The")) else text
    )
    return f"{varied}{'.' if rng.random() < 0.7 else ''}"


def _words(task: Task) -> list[str]:
    bare = PLACEHOLDER.sub(" ", task.what)
    found = [word for word in re.findall(r"[A-Za-z]+", bare.lower()) if word not in FILLERS]
    return found or [parameters()[key].names[0] for key in task.inline]


def _name(task: Task, rng: Random) -> str:
    words = _words(task)
    if " of " in task.what and rng.random() < 0.5:
        before, _, after = task.what.partition(" of ")
        halves = [
            [word for word in re.findall(r"[a-z]+", PLACEHOLDER.sub(" ", half).lower()) if word not in FILLERS]
            for half in (after, before)
        ]
        words = [*halves[0], *halves[1]] or words
    verb = rng.choice(NAME_VERBS.get(task.verb, (task.verb.replace(" ", "_"),)))
    if verb == "" and len(words) == 1:
        verb = "get"
    full = [*verb.split("_"), *words] if verb else words
    joined = "_".join(dict.fromkeys(full))
    style = rng.random()
    if style < 0.48:
        return joined
    if style < 0.72:
        return f"{task.domain}.{joined}"
    if style < 0.83 and verb:
        return f"{'_'.join(dict.fromkeys(words))}.{verb}"
    parts = joined.split("_")
    camel = parts[0] + "".join(part.capitalize() for part in parts[1:])
    return camel if style < 0.93 else f"{task.domain}_{joined}"


def _generic(task: Task) -> str:
    """What a task is about, with names of values in place of the values."""
    return PLACEHOLDER.sub(lambda match: f"a {parameters()[match[1]].names[0].replace('_', ' ')}", task.what)


def _about(task: Task, slots: list[Slot], rng: Random) -> str:
    verb = rng.choice(DESCRIBED_VERBS.get(task.verb, (task.verb.capitalize(),)))
    text = f"{verb} {_generic(task)}"
    names = [slot.name.replace("_", " ") for slot in slots if slot.required]
    if names and rng.random() < 0.35:
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        text += f" {rng.choice(('by', 'given the', 'based on', 'from the'))} {listed}"
    return text + "."
