"""How prompts and tool calls are written as text in the database.

A prompt is plain text (one user message) or a JSON list of `{"role", "content"}` messages. A tool call is written
as Qwen3's chat template writes it: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

Message = dict[str, str]

TOOL_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
TOOL_CALL_MARKERS = ("<tool_call>", "</tool_call>")


@dataclass(frozen=True)
class ToolCall:
    """One call: the tool's name and its arguments by name."""

    name: str
    arguments: dict[str, Any]


def _is_message(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("role"), str) and isinstance(item.get("content"), str)


def parse_prompt(text: str) -> list[Message]:
    """The chat messages that a prompt column stands for."""
    if text.lstrip().startswith("["):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            items = None
        if isinstance(items, list) and items and all(_is_message(item) for item in items):
            return [{"role": item["role"], "content": item["content"]} for item in items]
    return [{"role": "user", "content": text}]


def format_prompt(messages: list[Message]) -> str:
    """The prompt column for chat messages: plain text for a single user message, else compact JSON."""
    if len(messages) == 1 and messages[0]["role"] == "user" and parse_prompt(messages[0]["content"]) == messages:
        return messages[0]["content"]
    kept = [{"role": message["role"], "content": message["content"]} for message in messages]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def plain_text(prompt: str) -> str:
    """What people wrote in a prompt, without roles: the contents of its messages, one after the other."""
    return "\n".join(message["content"] for message in parse_prompt(prompt))


def format_tool_call(call: ToolCall) -> str:
    """A call as Qwen3's chat template writes it."""
    body = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def _parse_call(text: str) -> ToolCall | None:
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        return None
    arguments = item.get("arguments", {})
    return ToolCall(item["name"], arguments) if isinstance(arguments, dict) else None


def parse_tool_calls(text: str) -> list[ToolCall] | None:
    """The calls in an answer, in order: empty where it holds none, None where one is malformed.

    An answer that is nothing but a JSON object with a `name` and `arguments` counts as a call as well.
    """
    blocks = TOOL_CALL.findall(text)
    if not blocks:
        if any(marker in text for marker in TOOL_CALL_MARKERS):
            return None
        bare = _parse_call(text.strip()) if '"arguments"' in text else None
        return [bare] if bare else []
    if any(text.count(marker) != len(blocks) for marker in TOOL_CALL_MARKERS):
        return None
    calls = [_parse_call(block) for block in blocks]
    return None if any(call is None for call in calls) else [call for call in calls if call is not None]
