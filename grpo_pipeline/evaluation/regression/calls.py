"""Requests that need a tool: valid calls of the right tool with the right arguments."""

from __future__ import annotations

import json
from typing import Any

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.evaluation.regression.probe import Check, Probe
from grpo_pipeline.rewards.tool_calls import score_tool_calls

FAMILY = "probe_tool_calls"

# Every tool: what it does, and its arguments with their types.
TOOLS: dict[str, tuple[str, dict[str, str]]] = {
    "get_weather": ("The weather in a city", {"city": "string"}),
    "convert_currency": ("Converts money", {"amount": "number", "to": "string"}),
    "set_alarm": ("Sets an alarm", {"time": "string"}),
    "send_message": ("Sends a text message", {"to": "string", "text": "string"}),
    "play_song": ("Plays a song", {"title": "string"}),
    "find_flight": ("Finds flights", {"origin": "string", "destination": "string"}),
    "add_numbers": ("Adds two numbers", {"a": "number", "b": "number"}),
    "translate": ("Translates a word", {"word": "string", "language": "string"}),
}
# The tools on offer, the request, and the arguments of the call to the first tool.
REQUESTS: tuple[tuple[tuple[str, str], str, dict[str, Any]], ...] = (
    (("get_weather", "set_alarm"), "What is the weather in Oslo?", {"city": "Oslo"}),
    (("set_alarm", "play_song"), "Set an alarm for 07:30.", {"time": "07:30"}),
    (("play_song", "get_weather"), "Play the song Yesterday.", {"title": "Yesterday"}),
    (("add_numbers", "translate"), "Add 12 and 30.", {"a": 12, "b": 30}),
    (("translate", "send_message"), "Translate cat to French.", {"word": "cat", "language": "French"}),
    (("find_flight", "get_weather"), "Find a flight from Rome to Cairo.", {"origin": "Rome", "destination": "Cairo"}),
    (("convert_currency", "add_numbers"), "Convert 50 to EUR.", {"amount": 50, "to": "EUR"}),
    (("send_message", "play_song"), "Send Bob the text: on my way", {"to": "Bob", "text": "on my way"}),
    (("get_weather", "find_flight"), "Tell me the weather in Lima.", {"city": "Lima"}),
    (("set_alarm", "add_numbers"), "Wake me at 06:00.", {"time": "06:00"}),
    (("add_numbers", "convert_currency"), "What is 7 plus 8?", {"a": 7, "b": 8}),
    (("play_song", "set_alarm"), "I want to hear the song Hello.", {"title": "Hello"}),
    (("translate", "get_weather"), "How do you say dog in Spanish?", {"word": "dog", "language": "Spanish"}),
    (
        ("find_flight", "send_message"),
        "Flights from Paris to Delhi, please.",
        {"origin": "Paris", "destination": "Delhi"},
    ),
    (("convert_currency", "translate"), "Change 200 to USD.", {"amount": 200, "to": "USD"}),
    (("send_message", "get_weather"), "Text Eve: see you soon", {"to": "Eve", "text": "see you soon"}),
)


def schema(name: str) -> dict[str, Any]:
    """A tool as chat templates take it: all of its arguments are required."""
    description, arguments = TOOLS[name]
    properties = {argument: {"type": kind} for argument, kind in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def like_call(name: str, arguments: dict[str, Any]) -> Check:
    """How right the answer's call is, 0 (none) to 1, in the grades of the tool-call score."""
    wanted = format_tool_call(ToolCall(name, arguments))
    return lambda text: ((score_tool_calls(text, wanted) or 0.0) + 1.0) / 2.0


PROBES = tuple(
    Probe(FAMILY, request, like_call(offered[0], arguments), json.dumps([schema(name) for name in sorted(offered)]))
    for offered, request, arguments in REQUESTS
)
