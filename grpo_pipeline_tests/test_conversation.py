from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_pipeline.conversation import (
    ToolCall,
    format_prompt,
    format_tool_call,
    parse_prompt,
    parse_tool_calls,
    plain_text,
)

MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text()}),
    min_size=1,
)


def test_plain_text_is_one_user_message() -> None:
    assert parse_prompt("Analyze @Ramp") == [{"role": "user", "content": "Analyze @Ramp"}]


@pytest.mark.parametrize(
    "text", ["[1, 2]", "[not json", "[]", '[{"role": "user"}]', '{"role": "user", "content": "x"}']
)
def test_text_that_only_looks_like_messages_stays_text(text: str) -> None:
    assert parse_prompt(text) == [{"role": "user", "content": text}]


def test_text_of_absurd_depth_is_text_and_no_call() -> None:
    assert parse_prompt("[" * 100_000) == [{"role": "user", "content": "[" * 100_000}]
    assert parse_tool_calls(f"<tool_call>{'[' * 100_000}</tool_call>") is None


@given(MESSAGES)
def test_messages_survive_being_written_and_read(messages: list[dict[str, str]]) -> None:
    assert parse_prompt(format_prompt(messages)) == messages


def test_plain_text_leaves_roles_out() -> None:
    assert plain_text('[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]') == "Be brief.\nHi"


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        ("Ramp is a card company.", []),
        ('<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>', [ToolCall("f", {"a": 1})]),
        (
            '<tool_call>{"name": "f"}</tool_call><tool_call>{"name": "g", "arguments": {}}</tool_call>',
            [ToolCall("f", {}), ToolCall("g", {})],
        ),
        ('{"name": "f", "arguments": {"a": "b"}}', [ToolCall("f", {"a": "b"})]),
        ("<tool_call>not json</tool_call>", None),
        ('<tool_call>{"name": "f", "arguments": {"a": 1}}', None),
        ('<tool_call>{"name": "f", "arguments": [1]}</tool_call>', None),
        ('<tool_call>{"name": "f", "arguments": {}}</tool_call> <tool_call>', None),
        ('{"arguments": "of all kinds"}', []),
    ],
)
def test_tool_calls_are_parsed_or_found_malformed(answer: str, calls: list[ToolCall] | None) -> None:
    assert parse_tool_calls(answer) == calls


def test_a_written_call_is_read_back() -> None:
    call = ToolCall("get_metrics", {"company": "Ramp", "years": [2024, 2025], "note": "ü"})
    assert parse_tool_calls(format_tool_call(call)) == [call]
