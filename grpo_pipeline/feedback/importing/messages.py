"""Chat messages as other projects write them, turned into `{"role", "content"}`.

Read are TRL's and OpenAI's `{"role", "content", "tool_calls"}` and ShareGPT's `{"from", "value"}`. A tool call becomes
text, as Qwen3's chat template writes it, so that a prompt or an answer is always text.
"""

from __future__ import annotations

import json
from typing import Any

from grpo_pipeline.conversation import Message, ToolCall, format_tool_call
from grpo_pipeline.feedback.importing.faults import RecordError

FUNCTION_CALL = "function_call"
ROLES = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    FUNCTION_CALL: "assistant",
    "observation": "tool",
    "function": "tool",
    "tool": "tool",
}


def parse_messages(items: object, field: str) -> list[Message]:
    """The messages of one field, with the roles system, user, assistant and tool.

    Raises:
        RecordError: the field is no list of messages, or one of them has no known role or no text.
    """
    if not isinstance(items, list) or not items:
        raise RecordError(f"{field} is not a list of messages")
    return [_parse_message(item, f"{field}[{index}]") for index, item in enumerate(items)]


def parse_answer(value: object, field: str) -> str:
    """The text of an answer given as text, as one assistant message, or as a list of one.

    Raises:
        RecordError: it is none of these.
    """
    if isinstance(value, str):
        return value
    items = [value] if isinstance(value, dict) else value
    messages = parse_messages(items, field)
    if len(messages) != 1 or messages[0]["role"] != "assistant":
        raise RecordError(f"{field} is not one assistant message")
    return messages[0]["content"]


def parse_tools(value: object) -> list[dict[str, Any]] | None:
    """The tool schemas offered, each as `{"type": "function", "function": {...}}`; None where there were none.

    Raises:
        RecordError: the field is no list of objects, nor JSON text of one.
    """
    if isinstance(value, str):
        value = _loads(value, "tools") if value.strip() else None
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RecordError("tools is not a list of tool schemas")
    return [item if "function" in item else {"type": "function", "function": item} for item in value]


def _parse_message(item: object, place: str) -> Message:
    if not isinstance(item, dict):
        raise RecordError(f"{place} is not a message")
    author = item.get("role", item.get("from"))
    role = ROLES.get(author) if isinstance(author, str) else None
    if role is None:
        raise RecordError(f"{place} has no known role")
    content = item.get("content", item.get("value"))
    if author == FUNCTION_CALL:
        return {"role": role, "content": _calls_as_text(content, place)}
    calls = item.get("tool_calls")
    if calls:
        spoken = content if isinstance(content, str) else ""
        return {"role": role, "content": "\n".join(filter(None, [spoken, _calls_as_text(calls, place)]))}
    if not isinstance(content, str):
        raise RecordError(f"{place} has no text")
    return {"role": role, "content": content}


def _calls_as_text(value: object, place: str) -> str:
    parsed = _loads(value, place) if isinstance(value, str) else value
    calls = parsed if isinstance(parsed, list) else [parsed]
    return "\n".join(format_tool_call(_parse_call(call, place)) for call in calls)


def _parse_call(item: object, place: str) -> ToolCall:
    call = item.get("function", item) if isinstance(item, dict) else None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise RecordError(f"{place} holds a tool call without a name")
    arguments = call.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _loads(arguments, place) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        raise RecordError(f"{place} holds a tool call whose arguments are no object")
    return ToolCall(call["name"], arguments)


def _loads(text: str, place: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{place} is not JSON") from error
