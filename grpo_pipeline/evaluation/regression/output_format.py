"""Requests for an answer in a certain format, each checked by a program that does not care what the answer says.

Half of the score is whether the model's own answer keeps the format, half whether it finds one that does likelier than
one that says the same without it.
"""

from __future__ import annotations

import json
import re

from grpo_pipeline.evaluation.regression.probe import Check, Probe

FAMILY = "probe_format"
FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*(?:```)?$", re.DOTALL)
BULLET = re.compile(r"^\s*[-*\u2022]\s+\S", re.MULTILINE)
NUMBERED = re.compile(r"^\s*\d+[.)]\s+\S", re.MULTILINE)


def json_object(*keys: str) -> Check:
    """A JSON object with exactly these keys, in a code fence or not; half of it where keys are wrong."""

    def check(text: str) -> float:
        fenced = FENCE.match(text.strip())
        try:
            found = json.loads(fenced[1] if fenced else text)
        except (ValueError, RecursionError):
            return 0.0
        if not isinstance(found, dict):
            return 0.0
        return 1.0 if set(found) == set(keys) else 0.5

    return check


def one_of(*words: str) -> Check:
    """Nothing but one of these words; half of it where the answer only starts with it."""
    wanted = {word.casefold() for word in words}

    def check(text: str) -> float:
        said = re.findall(r"[\w-]+", text.casefold())
        if not said or said[0] not in wanted:
            return 0.0
        return 1.0 if len(said) == 1 else 0.5

    return check


def at_most_words(most: int) -> Check:
    """At least one word and at most so many; half of it up to twice as many."""

    def check(text: str) -> float:
        count = len(text.split())
        return 1.0 if 0 < count <= most else 0.5 if 0 < count <= 2 * most else 0.0

    return check


def matches(pattern: str) -> Check:
    """The whole answer is of this form; half of it where a part is."""
    form = re.compile(pattern)
    return lambda text: 1.0 if form.fullmatch(text.strip()) else 0.5 if form.search(text) else 0.0


def lines_like(line: re.Pattern[str], least: int) -> Check:
    """At least so many lines of a form, in parts; the last may be cut off."""
    return lambda text: min(1.0, len(line.findall(text)) / least)


# The request, its check, an answer that keeps the format and one that says the same without it.
REQUESTS: tuple[tuple[str, Check, str, str], ...] = (
    ("Answer with yes or no only: is fire hot?", one_of("yes", "no"), "Yes", "Fire is very hot, so be careful."),
    (
        "List two fruits as a bulleted list. Start each line with a dash.",
        lines_like(BULLET, 2),
        "- Apple\n- Banana",
        "Two fruits are the apple and the banana.",
    ),
    ("Answer with one word only: what color is grass?", at_most_words(1), "Green", "The color of grass is green."),
    (
        'Answer with a JSON object with the key "color" and nothing else: what color is snow?',
        json_object("color"),
        '{"color": "white"}',
        "The color of snow is white.",
    ),
    (
        "Write the number five in digits. Answer with the number only.",
        matches(r"\d+\.?"),
        "5",
        "The number five is written as a single digit.",
    ),
    (
        "Name two animals as a numbered list.",
        lines_like(NUMBERED, 2),
        "1. Dog\n2. Cat",
        "Two animals are the dog and the cat.",
    ),
    ("Answer true or false only: ice is frozen water.", one_of("true", "false"), "True", "Ice is indeed frozen water."),
    (
        'Answer with a JSON object with the keys "name" and "age" for Ann, who is 30.',
        json_object("name", "age"),
        '{"name": "Ann", "age": 30}',
        "The name is Ann and her age is 30.",
    ),
    (
        "In at most five words: what is rain?",
        at_most_words(5),
        "Water falling from clouds",
        "Rain is water that falls from the clouds in the sky to the ground.",
    ),
    (
        "Write today as an example date in the form YYYY-MM-DD, nothing else.",
        matches(r"\d{4}-\d{2}-\d{2}"),
        "2024-05-17",
        "Today is the seventeenth of May.",
    ),
    (
        "Choose A or B. Answer with the letter only: A) cats B) dogs",
        one_of("a", "b"),
        "A",
        "I would choose cats, as they are quiet.",
    ),
    (
        "Write the word hello in capital letters only.",
        matches(r"[A-Z]{2,}[.!]?"),
        "HELLO",
        "The word is hello.",
    ),
    (
        "List three days of the week as a numbered list.",
        lines_like(NUMBERED, 3),
        "1. Monday\n2. Tuesday\n3. Wednesday",
        "Three days are Monday, Tuesday and Wednesday.",
    ),
    ("Answer with yes or no only: do fish live in water?", one_of("yes", "no"), "Yes", "Fish do live in the water."),
    (
        'Answer with a JSON object with the key "answer": what is 1 + 1?',
        json_object("answer"),
        '{"answer": 2}',
        "The answer is 2.",
    ),
    (
        "Answer with one word only: the opposite of big?",
        at_most_words(1),
        "Small",
        "The opposite of big is small.",
    ),
    (
        "List two colors, each on a line that starts with a dash.",
        lines_like(BULLET, 2),
        "- Red\n- Blue",
        "Two colors are red and blue.",
    ),
    (
        "Give a time of day in the form HH:MM, nothing else.",
        matches(r"\d{1,2}:\d{2}"),
        "14:30",
        "It is half past two in the afternoon.",
    ),
    (
        "Choose one and answer with that word only: small, medium, large.",
        one_of("small", "medium", "large"),
        "Medium",
        "I would like to choose the medium one.",
    ),
    (
        "Write a web address that starts with https, nothing else.",
        matches(r"https://\S+"),
        "https://www.example.com",
        "A web address is example dot com.",
    ),
)
PROBES = tuple(Probe(FAMILY, request, check, right=right, wrong=wrong) for request, check, right, wrong in REQUESTS)
