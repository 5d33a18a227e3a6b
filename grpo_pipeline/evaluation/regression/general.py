"""Simple questions with answers that can be checked: what a policy must not unlearn."""

from __future__ import annotations

import re

from grpo_pipeline.evaluation.regression.probe import Check, Probe

FAMILY = "probe_general"

# The question, and the answers that count, in lower case.
QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What is the capital of France?", ("paris",)),
    ("How many days are there in a week?", ("7", "seven")),
    ("What color do you get when you mix blue and yellow?", ("green",)),
    ("Which planet is known as the Red Planet?", ("mars",)),
    ("What is 2 + 2?", ("4", "four")),
    ("What is the opposite of hot?", ("cold",)),
    ("What is the chemical symbol for water?", ("h2o",)),
    ("Who wrote the play Romeo and Juliet?", ("shakespeare",)),
    ("What is the capital of Japan?", ("tokyo",)),
    ("How many legs does a spider have?", ("8", "eight")),
    ("What is the largest ocean on Earth?", ("pacific",)),
    ("Which month comes after March?", ("april",)),
    ("What is the capital of Italy?", ("rome",)),
    ("Which animal is known as man's best friend?", ("dog", "dogs")),
    ("How many months are there in a year?", ("12", "twelve")),
    ("What is the freezing point of water in degrees Celsius?", ("0", "zero")),
    ("Which language is mainly spoken in Brazil?", ("portuguese",)),
    ("What gas do people need to breathe to live?", ("oxygen",)),
    ("What is 10 minus 3?", ("7", "seven")),
    ("On which continent is Egypt?", ("africa",)),
    ("What is the largest planet in the solar system?", ("jupiter",)),
    ("What is the capital of Spain?", ("madrid",)),
    ("How many minutes are there in an hour?", ("60", "sixty")),
    ("Who painted the Mona Lisa?", ("leonardo", "da vinci")),
)


def holds_one_of(answers: tuple[str, ...]) -> Check:
    """1 where the answer holds one of these words or numbers by itself, else 0."""
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(answer)}(?!\w)" for answer in answers))
    return lambda text: float(pattern.search(text.casefold()) is not None)


PROBES = tuple(Probe(FAMILY, question, holds_one_of(answers)) for question, answers in QUESTIONS)
