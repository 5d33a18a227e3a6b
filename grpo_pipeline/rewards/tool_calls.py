"""How right an answer's tool calls are, in grades.

Every failure has its rank, so that none comes for free: no call, then a malformed one, the wrong tool, a missing
argument, one of the wrong type, a far value, a near value, the right call. Where a missing argument costs no more than
a wrong or a needless one, training learns to leave arguments out: 30 steps took such answers from 22 of 300 to 32, and
from 53 to 75 of 400 on questions of others; ranked below them, to 15 and 42. Graded after ToolRL
(https://arxiv.org/abs/2504.13958).

Only a call that is right in everything is of use, so it stands well above the nearest miss: without that distance one
near value of three would cost 3 % of the credit, which is lost in the noise of a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from grpo_pipeline.conversation import ToolCall, parse_tool_calls

MALFORMED = 0.1
WRONG_TOOL = 0.2
# The right tool with all of its arguments, whatever their values.
COMPLETE = 0.4
WRONG_TYPE = 0.3
WRONG_VALUE = 0.4
# A wrong value earns up to this much more, by how near it is.
NEARNESS = 0.5
# The most credit for an answer that is not right in everything.
NEAREST_MISS = 0.6


def _equal(value: object, wanted: object) -> bool:
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _kind(value: object) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def _nearness(value: object, wanted: object) -> float:
    """How near two unequal values of one kind are, from 0 to 1."""
    match value, wanted:
        case bool(), _:
            return 0.0
        case int() | float(), int() | float():
            return _nearness_of_numbers(value, wanted)
        case str(), str():
            return SequenceMatcher(None, value.casefold(), wanted.casefold(), autojunk=False).ratio()
        case list(), list():
            shared = sum(value_credit(item, other) for item, other in zip(value, wanted, strict=False))
            return shared / max(len(value), len(wanted))
        case dict(), dict():
            return arguments_credit(value, wanted)
    return 0.0


def _nearness_of_numbers(value: float, wanted: float) -> float:
    scale = max(abs(value), abs(wanted))
    return max(0.0, 1.0 - abs(value - wanted) / scale) if scale < float("inf") else 0.0


def value_credit(value: object, wanted: object) -> float:
    """Credit for one value from 0.3 (wrong type) over 0.4 to 0.9 (wrong, by nearness) to 1 (right)."""
    if _equal(value, wanted):
        return 1.0
    if _kind(value) != _kind(wanted):
        return WRONG_TYPE
    return WRONG_VALUE + NEARNESS * _nearness(value, wanted)


def arguments_credit(given: dict[str, Any], wanted: dict[str, Any]) -> float:
    """Credit for named values from 0 to 1: a missing one earns nothing, one too many dilutes the rest."""
    names = set(given) | set(wanted)
    if not names:
        return 1.0
    return sum(value_credit(given[name], wanted[name]) for name in set(given) & set(wanted)) / len(names)


def call_credit(given: ToolCall, wanted: ToolCall) -> float:
    """Credit for one call from 0.2 (wrong tool) over 0.4 (no argument is missing) to 1 (right in everything)."""
    if given.name != wanted.name:
        return WRONG_TOOL
    lowest, highest = (COMPLETE, 1.0) if set(wanted.arguments) <= set(given.arguments) else (WRONG_TOOL, COMPLETE)
    return lowest + (highest - lowest) * arguments_credit(given.arguments, wanted.arguments)


def calls_credit(given: Sequence[ToolCall], wanted: Sequence[ToolCall]) -> float:
    """Credit for an answer's calls from 0 to 1, each wanted call paired with its best match in any order."""
    pairs = sorted(
        ((call_credit(call, other), i, j) for i, call in enumerate(given) for j, other in enumerate(wanted)),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    total, used_given, used_wanted = 0.0, set[int](), set[int]()
    for credit, i, j in pairs:
        if i in used_given or j in used_wanted:
            continue
        total += credit
        used_given.add(i)
        used_wanted.add(j)
    return total / max(len(given), len(wanted))


def score_tool_calls(text: str, correction: str) -> float | None:
    """How right one answer's calls are by its correction: from -1 to 1, None where neither calls a tool."""
    wanted = parse_tool_calls(correction)
    if wanted is None:
        return None
    given = parse_tool_calls(text)
    if not wanted:
        return None if given == [] else -1.0
    credit = MALFORMED if given is None else calls_credit(given, wanted)
    return 2.0 * (credit if credit == 1.0 else NEAREST_MISS * credit) - 1.0


def tool_call(completions: Sequence[str], chosen: Sequence[str], **columns: object) -> list[float | None]:
    """Right tool calls: from -1 (none, or one too many) in grades to 1 (tool, arguments and values as corrected).

    None where neither the answer nor the correction calls a tool, and where the correction's own call is malformed.
    """
    return [score_tool_calls(text, kept) for text, kept in zip(completions, chosen, strict=True)]
