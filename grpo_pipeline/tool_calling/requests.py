"""What people say to have a tool called: natural requests that hold every value of the call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from grpo_pipeline.conversation import ToolCall
from grpo_pipeline.tool_calling.catalog import COMPUTE, LOOKUP, PLACEHOLDER, SEARCH
from grpo_pipeline.tool_calling.tools import Slot, Tool

# Share of optional arguments that a request says.
SAID_OPTIONAL = 0.55
# Numbers whose unit follows without a space, which must not slip into the call.
ATTACHED_UNITS = 0.4
UNIT = re.compile(
    r"(?<=\d) ((?:kg|cm|mg|g|km/h|km|m/s\^2|m/s|N|V|W|L|M|Hz|A|C|K|J/K|J|nm|atm|kWh|bpm|mpg|kcal|mol/L|mol)\b)"
)
OPENERS = {
    COMPUTE: (
        "calculate {}",
        "calculate {}",
        "compute {}",
        "what is {}?",
        "what is {}?",
        "find {}",
        "determine {}",
        "work out {}",
        "can you calculate {}?",
        "I need {}",
        "please compute {}",
        "what would be {}?",
        "estimate {}",
        "help me calculate {}",
        "could you find {}?",
        "what's {}?",
        "I want to know {}",
        "how much is {}?",
    ),
    LOOKUP: (
        "get {}",
        "tell me {}",
        "look up {}",
        "show me {}",
        "find {}",
        "give me {}",
        "could you get {}?",
        "I want to know {}",
        "retrieve {}",
        "what is {}?",
        "what is {}?",
        "can you check {}?",
        "find out {}",
        "I need {}",
        "fetch {}",
        "can you tell me {}?",
        "do you know {}?",
        "provide {}",
    ),
    SEARCH: (
        "find {}",
        "find me {}",
        "search for {}",
        "I'm looking for {}",
        "show me {}",
        "look for {}",
        "are there any {}?",
        "list {}",
        "can you find {}?",
        "I want {}",
        "help me find {}",
        "get me {}",
        "where can I find {}?",
        "I need {}",
        "could you search for {}?",
    ),
}
ACT_OPENERS = (
    "{}",
    "{}",
    "{}",
    "please {}",
    "can you {}?",
    "I want to {}",
    "I'd like to {}",
    "could you {} for me?",
    "I need to {}",
    "{}, please",
    "would you {}?",
    "help me {}",
)
FRONTABLE = ("for ", "in ", "from ", "on ", "with ", "at ", "using ", "by ", "after ")


@dataclass(frozen=True)
class Request:
    """A request without its final wording: the object with its values, and phrases for the others."""

    tool: Tool
    head: str
    phrases: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    """Name and value of what is not in the head, where all of it can be said as name and value."""
    call: ToolCall


def draw_request(tool: Tool, rng: Random) -> Request:
    """Draw the values of a call, and how each is said."""
    spoken = [slot for slot in tool.slots if slot.required or rng.random() < SAID_OPTIONAL]
    arguments: dict[str, Any] = {}
    inline: dict[str, str] = {}
    phrases, facts = [], []
    for slot in spoken:
        value, text, phrase = _say(slot, rng)
        arguments[slot.name] = value
        if slot.parameter.key in tool.task.inline:
            inline[slot.parameter.key] = text
        else:
            phrases.append(phrase)
            facts.append((slot.name.replace("_", " "), text))
    head = PLACEHOLDER.sub(lambda match: inline[match[1]], tool.task.what)
    plain = all(text for _, text in facts)
    return Request(tool, head, tuple(phrases), tuple(facts) if plain else (), ToolCall(tool.name, arguments))


def _say(slot: Slot, rng: Random) -> tuple[Any, str, str]:
    if slot.kind is None:
        said = [(part.name, *_say(part, rng)) for part in slot.parts]
        phrase = " and ".join(phrase for _, _, _, phrase in said)
        return {name: value for name, value, _, _ in said}, "", phrase.replace(" and and ", " and ")
    drawn = slot.kind.sample(rng)
    if slot.kind.schema["type"] == "boolean":
        return drawn.value, "", rng.choice(slot.parameter.says if drawn.value else slot.parameter.denies)
    forms = [form for form in slot.parameter.says if not form.startswith("=")] or ["{}"]
    text = drawn.text.replace("$", "") if drawn.text.startswith("$") and drawn.text.endswith("dollars") else drawn.text
    phrase = rng.choice(forms).format(text).removeprefix(": ")
    if slot.kind.schema["type"] in ("integer", "number") and rng.random() < ATTACHED_UNITS:
        text, phrase = UNIT.sub(r"\1", text), UNIT.sub(r"\1", phrase)
    return drawn.value, text, phrase


def word(request: Request, rng: Random) -> str:
    """One sentence or two that ask for the call."""
    style = rng.random()
    listable = len(request.facts) >= 2
    if style < 0.1 and listable:
        facts = ", ".join(f"{name} {rng.choice(('is ', '', '= '))}{text}" for name, text in request.facts)
        return _finish(
            f"{_open(request, request.head, rng).rstrip('?')}{rng.choice((':', '. The', ' where the'))} {facts}"
        )
    if style < 0.18 and listable:
        *others, (_phrase, fact) = zip(request.phrases, request.facts, strict=True)
        first = " ".join([request.head, *(phrase for phrase, _ in others)])
        return _finish(f"{_finish(_open(request, first, rng))} The {fact[0]} is {fact[1]}")
    phrases = _ordered(request.phrases, rng)
    if style < 0.32 and phrases and phrases[-1].startswith(FRONTABLE):
        front, rest = phrases[-1], phrases[:-1]
        return _finish(f"{front[0].upper()}{front[1:]}, {_lower(_open(request, ' '.join([request.head, *rest]), rng))}")
    return _finish(_open(request, _joined(request.head, phrases, rng), rng))


def several(requests: Sequence[Request], rng: Random) -> str:
    """One text that asks for several calls."""
    if rng.random() < 0.3:
        return " ".join(word(request, rng) for request in requests)
    parts = [f"{_verb(request)} {' '.join([request.head, *request.phrases])}" for request in requests]
    opener = rng.choice(("{}", "{}", "please {}", "can you {}?", "I need you to {}", "could you {}?"))
    return _finish(opener.format(rng.choice((" and ", ", and ", ", then ", " and also ")).join(parts)))


def values(request: Request) -> str:
    """The values alone, with what leads to them: the second of two requests for the same thing."""
    return " ".join(request.phrases)


def _verb(request: Request) -> str:
    verb = request.tool.task.verb
    return {COMPUTE: "calculate", LOOKUP: "get", SEARCH: "find"}.get(verb, verb)


def _ordered(phrases: Sequence[str], rng: Random) -> list[str]:
    found = list(phrases)
    if rng.random() < 0.4 and not any(phrase.startswith(("and ", "to ", "b =", "diastolic")) for phrase in found):
        rng.shuffle(found)
    return found


def _joined(head: str, phrases: Sequence[str], rng: Random) -> str:
    separator = ", " if len(phrases) > 2 and rng.random() < 0.35 else " "
    return f"{head} {separator.join(phrases)}".strip()


def _open(request: Request, text: str, rng: Random) -> str:
    verb = request.tool.task.verb
    if verb not in OPENERS:
        return rng.choice(ACT_OPENERS).format(f"{verb} {text}".strip())
    opener = rng.choice(OPENERS[verb])
    if verb == LOOKUP and opener.startswith("what is") and _is_plural(request.head):
        opener = opener.replace("what is", "what are")
    return opener.format(text)


def _is_plural(head: str) -> bool:
    noun = head.partition(" of ")[0].partition(" for ")[0]
    return noun.endswith("s") and not noun.endswith("ss")


def _lower(text: str) -> str:
    return text if text.startswith("I") and text[1:2] in " '" else text[0].lower() + text[1:]


def _finish(text: str) -> str:
    text = text.replace(" , ", ", ").replace(" ?", "?").strip()
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"
