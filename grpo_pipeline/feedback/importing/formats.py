"""The formats that can be imported, each recognised by its fields and read as one row of feedback.

| format | fields | becomes |
|---|---|---|
| payload | `prompt`, `response`, `feedbackType`, `corrections`, `score`, ... | what it says |
| preference (TRL) | `prompt` (may be missing), `chosen`, `rejected` | `edit`: `rejected` corrected to `chosen` |
| unpaired (TRL) | `prompt` and `completion`, or `messages`, and `label` | `thumbs_up` or `thumbs_down` |
| ShareGPT preference | `conversations`, `chosen`, `rejected` | `edit` |
| ShareGPT unpaired | `conversations`, `label` | `thumbs_up` or `thumbs_down` |
| ShareGPT tool calling | `conversations`, `tools` | `thumbs_up` on the last tool call, else on the last answer |

A conversation with tools is a demonstration of good behaviour: its last tool call is the answer worth learning, and
all that was said before it, earlier calls and their results included, is the prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from grpo_pipeline.conversation import TOOL_CALL, Message, format_prompt
from grpo_pipeline.feedback.importing.drafts import FeedbackDraft
from grpo_pipeline.feedback.importing.faults import RecordError
from grpo_pipeline.feedback.importing.messages import parse_answer, parse_messages, parse_tools

Record = dict[str, Any]


@dataclass(frozen=True)
class Format:
    """One format: its name, how it is recognised and how one record of it is read."""

    name: str
    matches: Callable[[Record], bool]
    parse: Callable[[Record], FeedbackDraft]


def parse_record(record: object) -> tuple[str, FeedbackDraft]:
    """The format of a record and the row of feedback it stands for.

    Raises:
        RecordError: no format has these fields, or the record breaks its format.
    """
    if not isinstance(record, dict):
        raise RecordError("not a JSON object")
    # Columns of a table are present, and null, where a record does not have them.
    present = {key: value for key, value in record.items() if value is not None}
    for known in FORMATS:
        if known.matches(present):
            return known.name, known.parse(present)
    raise RecordError("no known format has these fields")


def _has(*fields: str) -> Callable[[Record], bool]:
    return lambda record: all(field in record for field in fields)


def _payload(record: Record) -> FeedbackDraft:
    prompt = record.get("prompt")
    corrections = record.get("corrections")
    metadata = record.get("metadata", {})
    if not isinstance(metadata, dict):
        raise RecordError("metadata is not an object")
    return FeedbackDraft(
        prompt=prompt if isinstance(prompt, str) else format_prompt(parse_messages(prompt, "prompt")),
        response=parse_answer(record["response"], "response"),
        corrections=None if corrections is None else parse_answer(corrections, "corrections"),
        feedback_type=record.get("feedbackType"),
        score=record.get("score"),
        user_id=record.get("userId"),
        session_id=record.get("sessionId"),
        model_version=record.get("modelVersion"),
        tools=parse_tools(record.get("tools")),
        metadata=metadata,
        created_at=record.get("createdAt"),
    )


def _preference(record: Record) -> FeedbackDraft:
    chosen, rejected, prompt = record["chosen"], record["rejected"], record.get("prompt")
    if isinstance(chosen, str) and isinstance(rejected, str):
        if prompt is None:
            prompt, chosen, rejected = _split_texts(chosen, rejected)
        return _edit(_as_messages(prompt), chosen, rejected, record)
    chosen_messages, rejected_messages = parse_messages(chosen, "chosen"), parse_messages(rejected, "rejected")
    # Some data sets repeat the whole conversation in both answers, beside the prompt.
    if prompt is None or chosen_messages[0]["role"] != "assistant":
        return _edit(*_split_messages(chosen_messages, rejected_messages), record)
    return _edit(_as_messages(prompt), parse_answer(chosen, "chosen"), parse_answer(rejected, "rejected"), record)


def _sharegpt_preference(record: Record) -> FeedbackDraft:
    chosen, rejected = parse_answer(record["chosen"], "chosen"), parse_answer(record["rejected"], "rejected")
    return _edit(_conversation(record), chosen, rejected, record)


def _completion(record: Record) -> FeedbackDraft:
    response = parse_answer(record["completion"], "completion")
    return _vote(_as_messages(record["prompt"]), response, record["label"], record)


def _labelled_messages(record: Record) -> FeedbackDraft:
    return _vote(*_split_answer(parse_messages(record["messages"], "messages")), record["label"], record)


def _labelled_conversation(record: Record) -> FeedbackDraft:
    return _vote(*_split_answer(_conversation(record)), record["label"], record)


def _tool_calling(record: Record) -> FeedbackDraft:
    messages = _conversation(record)
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    calls = [index for index in answers if TOOL_CALL.search(messages[index]["content"])]
    if not answers:
        raise RecordError("conversations has no answer")
    end = (calls or answers)[-1]
    return _vote(*_split_answer(messages[: end + 1]), True, record)


def _edit(prompt: list[Message], chosen: str, rejected: str, record: Record) -> FeedbackDraft:
    if prompt[-1]["role"] == "assistant":
        raise RecordError("the prompt ends with an answer")
    if chosen == rejected:
        raise RecordError("chosen and rejected are the same")
    if not chosen.strip():
        raise RecordError("chosen is blank")
    return FeedbackDraft(
        prompt=format_prompt(prompt),
        response=rejected,
        corrections=chosen,
        feedback_type="edit",
        tools=parse_tools(record.get("tools")),
    )


def _vote(prompt: list[Message], response: str, label: object, record: Record) -> FeedbackDraft:
    if not isinstance(label, bool):
        raise RecordError("label is not true or false")
    return FeedbackDraft(
        prompt=format_prompt(prompt),
        response=response,
        feedback_type="thumbs_up" if label else "thumbs_down",
        tools=parse_tools(record.get("tools")),
    )


def _conversation(record: Record) -> list[Message]:
    messages = parse_messages(record["conversations"], "conversations")
    system = record.get("system")
    return [{"role": "system", "content": system}, *messages] if isinstance(system, str) and system else messages


def _as_messages(prompt: object) -> list[Message]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else parse_messages(prompt, "prompt")


def _split_answer(messages: list[Message]) -> tuple[list[Message], str]:
    *prompt, answer = messages
    if answer["role"] != "assistant":
        raise RecordError("the conversation does not end with an answer")
    if not prompt:
        raise RecordError("the conversation has no prompt")
    return prompt, answer["content"]


def _split_texts(chosen: str, rejected: str) -> tuple[str, str, str]:
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
    # The space before the first differing word belongs to the answers, as in TRL's `extract_prompt`.
    if shared and chosen[shared - 1] == " ":
        shared -= 1
    if not chosen[:shared].strip():
        raise RecordError("there is no prompt, and chosen and rejected do not begin alike")
    return chosen[:shared], chosen[shared:], rejected[shared:]


def _split_messages(chosen: list[Message], rejected: list[Message]) -> tuple[list[Message], str, str]:
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
    if shared == len(chosen) == len(rejected):
        raise RecordError("chosen and rejected are the same")
    if not shared:
        raise RecordError("there is no prompt, and chosen and rejected do not begin alike")
    return (
        chosen[:shared],
        parse_answer(chosen[shared:], "chosen after the shared turns"),
        parse_answer(rejected[shared:], "rejected after the shared turns"),
    )


FORMATS = (
    Format("payload", _has("response"), _payload),
    Format("ShareGPT preference", _has("conversations", "chosen", "rejected"), _sharegpt_preference),
    Format("ShareGPT unpaired", _has("conversations", "label"), _labelled_conversation),
    Format("ShareGPT tool calling", _has("conversations", "tools"), _tool_calling),
    Format("preference", _has("chosen", "rejected"), _preference),
    Format("unpaired", _has("prompt", "completion", "label"), _completion),
    Format("unpaired", _has("messages", "label"), _labelled_messages),
)
