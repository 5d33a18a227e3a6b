"""Whether a question says every value of its right call, or some have to be known, worked out or said otherwise."""

from __future__ import annotations

import re
from typing import Any

from grpo_pipeline.benchmark.bfcl import BfclQuestion
from grpo_pipeline.tool_calling.number_values import NUMBER_WORDS

SAID, NOT_SAID = "every value is said", "a value is not said"
NUMBER = re.compile(r"\d+(?:\.\d+)?")
GROUPING = re.compile(r"(?<=\d),(?=\d{3})")


def kind_of(question: BfclQuestion) -> str:
    """Which of the two a question is; one that needs no call says everything."""
    text = GROUPING.sub("", question.text.casefold())
    numbers = {float(number) for number in NUMBER.findall(text)}
    words = set(re.findall(r"[a-z]+", text))
    numbers |= {float(place) for place, word in enumerate(NUMBER_WORDS, start=2) if word in words}
    accepted = [values for call in question.wanted for arguments in call.values() for values in arguments.values()]
    return SAID if all(any(_is_said(value, text, numbers) for value in values) for values in accepted) else NOT_SAID


def _is_said(value: Any, text: str, numbers: set[float]) -> bool:  # noqa: ANN401
    match value:
        case bool():
            # Yes and no are said in words that differ with each question.
            return True
        case int() | float():
            return float(abs(value)) in numbers and (value >= 0 or f"-{abs(value)}" in text)
        case str():
            # The empty string stands for an argument that may be left out.
            return value.casefold() in text
        case list():
            return all(_is_said(item, text, numbers) for item in value)
        case dict():
            return all(any(_is_said(item, text, numbers) for item in _several(items)) for items in value.values())
    return False


def _several(items: Any) -> list[Any]:  # noqa: ANN401
    return items if isinstance(items, list) else [items]
