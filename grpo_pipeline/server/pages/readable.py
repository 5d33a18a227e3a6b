"""Pairs as people read them: messages by role, tool calls and tools without their JSON, what differs marked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grpo_pipeline.conversation import TOOL_CALL, Message, parse_tool_calls
from grpo_pipeline.server.pages.word_diff import Piece, word_diff

# What fits on a page of many pairs; a pair on a page of its own is shown whole.
SHOWN_CHARS = 6_000
TOOL_CHARS = 400


@dataclass(frozen=True)
class ToolLine:
    """A tool that was offered: its name, what it does, and its arguments."""

    name: str
    description: str
    arguments: Sequence[str]


@dataclass(frozen=True)
class Texts:
    """A pair's texts to read.

    Attributes:
        messages: the prompt's messages.
        rejected: the worse answer in pieces.
        chosen: the better answer in pieces.
        compared: whether they were compared, which takes too long for very long answers.
        hidden: how many characters are left out.
        tools: the tools offered.
    """

    messages: Sequence[Message]
    rejected: Sequence[Piece]
    chosen: Sequence[Piece]
    compared: bool
    hidden: int
    tools: Sequence[ToolLine]


def readable_texts(
    messages: Sequence[Message], rejected: str, chosen: str, tools: object, most: int | None = SHOWN_CHARS
) -> Texts:
    """A pair's texts to read.

    Args:
        messages: the prompt's messages.
        rejected: the worse answer.
        chosen: the better answer.
        tools: the tools offered, as JSON has them.
        most: characters of each text that are shown; None for all.
    """
    answers = [readable_answer(text) for text in (rejected, chosen)]
    shown = _last_of(messages, most)
    worse, better = (text[:most] for text in answers)
    compared = word_diff(worse, better)
    pieces = compared or ([Piece(worse)], [Piece(better)])
    full = sum(len(message["content"]) for message in messages) + sum(map(len, answers))
    left = sum(len(message["content"]) for message in shown) + len(worse) + len(better)
    return Texts(shown, *pieces, compared is not None, full - left, readable_tools(tools))


def _last_of(messages: Sequence[Message], most: int | None) -> list[Message]:
    """The last messages, as many characters as are shown: what was asked stands at the end."""
    shown: list[Message] = []
    left = sum(len(message["content"]) for message in messages) if most is None else most
    for message in reversed(messages):
        shown.append({**message, "content": message["content"][:left]})
        left -= len(message["content"])
        if left <= 0:
            break
    return shown[::-1]


def readable_answer(text: str) -> str:
    """An answer with each tool call as a name and its arguments, one a line; a malformed call stays as it is."""
    calls = parse_tool_calls(text)
    if not calls:
        return text
    lines = iter(
        "\n".join([f"call {call.name}", *(f"    {name}: {_json(value)}" for name, value in call.arguments.items())])
        for call in calls
    )
    return TOOL_CALL.sub(lambda _: next(lines), text) if TOOL_CALL.search(text) else next(lines)


def readable_tools(tools: object) -> list[ToolLine]:
    """The tools offered, in whichever of the usual forms they are; what is in none is shown as it is."""
    return [_tool_line(item) for item in tools] if isinstance(tools, list) else []


def _tool_line(item: Any) -> ToolLine:  # noqa: ANN401
    tool = item.get("function", item) if isinstance(item, dict) else item
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        return ToolLine("unreadable tool", _json(item)[:TOOL_CHARS], ())
    schema = tool.get("parameters")
    known, needed = (schema.get("properties"), schema.get("required")) if isinstance(schema, dict) else (None, None)
    required = needed if isinstance(needed, list) else []
    arguments = [
        f"{name}: {_kind(described)}{'' if name in required else ' (optional)'}"
        for name, described in (known if isinstance(known, dict) else {}).items()
    ]
    return ToolLine(tool["name"], str(tool.get("description", ""))[:TOOL_CHARS], arguments)


def _kind(described: object) -> str:
    kind = described.get("type", "any") if isinstance(described, dict) else "any"
    return kind if isinstance(kind, str) else _json(kind)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
