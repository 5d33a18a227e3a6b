"""How the dataset compares prompts, and turns them and their tools into what a chat template takes."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence

from grpo_pipeline.artifacts import canonical_json
from grpo_pipeline.conversation import Message, parse_prompt

ROLES = {"system", "user", "assistant", "tool"}
# TRL's chat template adds the turn of the model after these, and refuses or continues the last message otherwise.
ASKING_ROLES = {"user", "tool"}


def normalized(text: str) -> str:
    """Text as it is compared: compatibility forms, case and white space made equal."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def question(prompt: str) -> str:
    """What a prompt asks, normalized, by which the split tells prompts apart.

    System messages are left out: an agent's long instructions would make all its prompts look alike.
    """
    return question_of(parse_prompt(prompt))


def question_of(messages: Sequence[Message]) -> str:
    """What the messages of a prompt ask, normalized as `question` does."""
    asked = [message["content"] for message in messages if message["role"] != "system"]
    return normalized("\n".join(asked or [message["content"] for message in messages]))


def same_prompt_key(prompt: str) -> str:
    """A key that is equal where two prompts ask the same in the same conversation, system messages included."""
    return canonical_json([(message["role"], normalized(message["content"])) for message in parse_prompt(prompt)])


def usable_messages(prompt: str) -> list[Message] | None:
    """The chat messages of a prompt, or None where a chat template could not answer them."""
    messages = parse_prompt(prompt)
    if any(message["role"] not in ROLES for message in messages) or messages[-1]["role"] not in ASKING_ROLES:
        return None
    return messages


def tools_column(tools: str | None) -> str | None:
    """The tool schemas as TRL's `tools` column holds them: a JSON list, or None where no tool was offered.

    Raises:
        ValueError: the text is neither a JSON object nor a JSON list of objects.
    """
    if tools is None or not tools.strip():
        return None
    parsed = json.loads(tools)
    schemas = [parsed] if isinstance(parsed, dict) else parsed
    if schemas is None:
        return None
    if not isinstance(schemas, list) or not all(isinstance(schema, dict) for schema in schemas):
        raise ValueError("tools are not a list of schemas")
    # Key order is kept: it is what the chat template renders.
    return json.dumps(schemas, ensure_ascii=False, separators=(",", ":")) if schemas else None


def tools_key(tools: str | None) -> str:
    """A key that is equal where the same tools were offered."""
    try:
        column = tools_column(tools)
    except ValueError:
        return f"unreadable {tools}"
    return canonical_json(json.loads(column)) if column else ""
