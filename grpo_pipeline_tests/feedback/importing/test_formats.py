from __future__ import annotations

import json
from typing import Any

import pytest

from grpo_pipeline.conversation import parse_prompt, parse_tool_calls
from grpo_pipeline.feedback.importing.drafts import FeedbackDraft
from grpo_pipeline.feedback.importing.faults import RecordError
from grpo_pipeline.feedback.importing.formats import parse_record

USER = {"role": "user", "content": "Name a colour."}
BLUE = {"role": "assistant", "content": "Blue."}
LOUD = {"role": "assistant", "content": "BLUE!!!"}
SYSTEM = {"role": "system", "content": "Be brief."}
WEATHER = {"name": "weather", "description": "The weather", "parameters": {"type": "object"}}
CALL = '{"name": "weather", "arguments": {"city": "Rome"}}'


def human(text: str) -> dict[str, str]:
    return {"from": "human", "value": text}


def gpt(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


def edit(prompt: object, response: str = "BLUE!!!", corrections: str = "Blue.") -> tuple[Any, ...]:
    return ("edit", prompt, response, corrections)


READ = {
    "payload": (
        {"prompt": "Analyze @Ramp", "response": "Thin.", "corrections": "Deep.", "feedbackType": "edit", "score": 5},
        "payload",
        edit([{"role": "user", "content": "Analyze @Ramp"}], "Thin.", "Deep."),
    ),
    "payload without corrections": (
        {"prompt": "Name a colour.", "response": "Blue.", "feedbackType": "thumbs_up", "score": None},
        "payload",
        ("thumbs_up", [USER], "Blue.", None),
    ),
    "preference, standard": (
        {"prompt": "Name a colour.", "chosen": "Blue.", "rejected": "BLUE!!!"},
        "preference",
        edit([USER]),
    ),
    "preference, standard, implicit prompt": (
        {"chosen": "The sky is blue.", "rejected": "The sky is green."},
        "preference",
        edit([{"role": "user", "content": "The sky is"}], " green.", " blue."),
    ),
    "preference, conversational": (
        {"prompt": [SYSTEM, USER], "chosen": [BLUE], "rejected": [LOUD]},
        "preference",
        edit([SYSTEM, USER]),
    ),
    "preference, conversational, implicit prompt": (
        {"chosen": [USER, BLUE], "rejected": [USER, LOUD]},
        "preference",
        edit([USER]),
    ),
    "preference, prompt beside whole conversations": (
        {"prompt": "Name a colour.", "chosen": [USER, BLUE], "rejected": [USER, LOUD]},
        "preference",
        edit([USER]),
    ),
    "preference, columns that are null": (
        {"prompt": None, "chosen": [USER, BLUE], "rejected": [USER, LOUD], "label": None},
        "preference",
        edit([USER]),
    ),
    "unpaired, standard": (
        {"prompt": "Name a colour.", "completion": "Blue.", "label": True},
        "unpaired",
        ("thumbs_up", [USER], "Blue.", None),
    ),
    "unpaired, conversational": (
        {"prompt": [USER], "completion": [LOUD], "label": False},
        "unpaired",
        ("thumbs_down", [USER], "BLUE!!!", None),
    ),
    "unpaired, messages of several turns": (
        {"messages": [USER, BLUE, USER, LOUD], "label": False},
        "unpaired",
        ("thumbs_down", [USER, BLUE, USER], "BLUE!!!", None),
    ),
    "ShareGPT preference with a system turn": (
        {
            "conversations": [{"from": "system", "value": "Be brief."}, human("Name a colour.")],
            "chosen": gpt("Blue."),
            "rejected": gpt("BLUE!!!"),
        },
        "ShareGPT preference",
        edit([SYSTEM, USER]),
    ),
    "ShareGPT preference of several turns, system beside it": (
        {
            "system": "Be brief.",
            "conversations": [human("Name a colour."), gpt("Blue."), human("Name a colour.")],
            "chosen": gpt("Blue."),
            "rejected": gpt("BLUE!!!"),
        },
        "ShareGPT preference",
        edit([SYSTEM, USER, BLUE, USER]),
    ),
    "ShareGPT unpaired": (
        {"conversations": [human("Name a colour."), gpt("Blue.")], "label": True},
        "ShareGPT unpaired",
        ("thumbs_up", [USER], "Blue.", None),
    ),
    "ShareGPT with tools and no call": (
        {"conversations": [human("Name a colour."), gpt("Blue.")], "tools": "[]"},
        "ShareGPT tool calling",
        ("thumbs_up", [USER], "Blue.", None),
    ),
}


def told(draft: FeedbackDraft) -> tuple[Any, ...]:
    return (draft.feedback_type, parse_prompt(draft.prompt), draft.response, draft.corrections)


@pytest.mark.parametrize(("record", "name", "expected"), READ.values(), ids=READ.keys())
def test_each_format_is_recognised_by_its_fields(record: dict[str, Any], name: str, expected: tuple[Any, ...]) -> None:
    form, draft = parse_record(record)
    assert form == name
    assert told(draft) == expected


def test_the_payload_keeps_all_that_came_with_it() -> None:
    _, draft = parse_record(
        {
            "prompt": "p",
            "response": "r",
            "feedbackType": "rating",
            "score": 4,
            "userId": "u",
            "sessionId": "s",
            "modelVersion": "m",
            "tools": [WEATHER],
            "metadata": {"page": 1},
            "createdAt": "2026-11-02T10:00:00Z",
        }
    )
    assert (draft.score, draft.user_id, draft.session_id, draft.model_version) == (4, "u", "s", "m")
    assert draft.metadata == {"page": 1}
    assert draft.created_at == "2026-11-02T10:00:00Z"


def test_the_last_tool_call_of_a_conversation_is_the_answer_and_all_before_it_the_prompt() -> None:
    turns = [
        human("Weather in Rome?"),
        {"from": "function_call", "value": CALL},
        {"from": "observation", "value": '{"sky": "blue"}'},
        gpt("Blue sky."),
        human("And now?"),
        {"from": "function_call", "value": CALL},
        {"from": "observation", "value": '{"sky": "grey"}'},
        gpt("Grey."),
    ]
    _, draft = parse_record({"conversations": turns, "tools": json.dumps([WEATHER])})
    calls = parse_tool_calls(draft.response)
    assert calls is not None
    assert [(call.name, call.arguments) for call in calls] == [("weather", {"city": "Rome"})]
    prompt = parse_prompt(draft.prompt)
    assert [message["role"] for message in prompt] == ["user", "assistant", "tool", "assistant", "user"]
    assert parse_tool_calls(prompt[1]["content"])
    assert draft.tools == [{"type": "function", "function": WEATHER}]


def test_tool_calls_in_messages_become_text_too() -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    _, draft = parse_record(
        {"messages": [USER, answer], "label": True, "tools": [{"type": "function", "function": {}}]}
    )
    assert draft.response == '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    assert draft.tools == [{"type": "function", "function": {}}]


REFUSED = {
    "no object": (["a"], "not a JSON object"),
    "unknown fields": ({"question": "secret?", "answer": "secret"}, "no known format has these fields"),
    "no verdict": ({"messages": [USER, BLUE]}, "no known format has these fields"),
    "label is a word": ({"prompt": "p", "completion": "c", "label": "yes"}, "label is not true or false"),
    "same answers": ({"prompt": "p", "chosen": "a", "rejected": "a"}, "chosen and rejected are the same"),
    "same conversations": ({"chosen": [USER, BLUE], "rejected": [USER, BLUE]}, "chosen and rejected are the same"),
    "blank chosen": ({"prompt": "p", "chosen": " ", "rejected": "a"}, "chosen is blank"),
    "nothing shared": ({"chosen": "a", "rejected": "b"}, "there is no prompt"),
    "no shared turns": ({"chosen": [USER, BLUE], "rejected": [SYSTEM, BLUE]}, "there is no prompt"),
    "answers of several turns": (
        {"chosen": [USER, BLUE, USER, BLUE], "rejected": [USER, LOUD]},
        "chosen after the shared turns is not one assistant message",
    ),
    "unknown role": (
        {"messages": [{"role": "wizard", "content": "c"}], "label": True},
        "messages[0] has no known role",
    ),
    "message without text": ({"messages": [{"role": "user"}, BLUE], "label": True}, "messages[0] has no text"),
    "empty conversation": ({"messages": [], "label": True}, "messages is not a list of messages"),
    "ends with the user": ({"messages": [USER], "label": True}, "the conversation does not end with an answer"),
    "nothing but an answer": ({"messages": [BLUE], "label": True}, "the conversation has no prompt"),
    "prompt ends with an answer": (
        {"conversations": [human("h"), gpt("g")], "chosen": gpt("a"), "rejected": gpt("b")},
        "the prompt ends with an answer",
    ),
    "tools are no JSON": ({"conversations": [human("h"), gpt("g")], "tools": "[{"}, "tools is not JSON"),
    "tools are no schemas": (
        {"conversations": [human("h"), gpt("g")], "tools": ["weather"]},
        "tools is not a list of tool schemas",
    ),
    "call is no JSON": (
        {"conversations": [human("h"), {"from": "function_call", "value": "weather("}], "tools": "[]"},
        "conversations[1] is not JSON",
    ),
    "call without a name": (
        {"conversations": [human("h"), {"from": "function_call", "value": "{}"}], "tools": "[]"},
        "conversations[1] holds a tool call without a name",
    ),
    "no answer": ({"conversations": [human("h")], "tools": "[]"}, "conversations has no answer"),
    "metadata is a list": (
        {"prompt": "p", "response": "r", "feedbackType": "edit", "metadata": []},
        "metadata is not an object",
    ),
}


@pytest.mark.parametrize(("record", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_record_that_breaks_its_format_is_refused_with_the_reason(record: object, reason: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_record(record)
    assert str(refused.value).startswith(reason)
    assert "secret" not in str(refused.value)
