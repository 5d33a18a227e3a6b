"""Simple questions with answers that can be checked: what a policy must not unlearn.

Scored twice, apart from each other. What a model knows is which of two answers it finds likelier, whatever style it has
learned since; that is a gate. What it says is whether its own answer holds the right one: a model that learned a house
style answers in that style, whatever is asked.
"""

from __future__ import annotations

import re

from grpo_pipeline.evaluation.regression.probe import Check, Probe

FAMILY = "probe_general"
ANSWERS = "probe_general_answers"

# The question, a sentence that answers it, the right and a wrong ending, and other forms of the right one.
QUESTIONS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    ("What is the capital of France?", "The capital of France is", "Paris", "Berlin", ()),
    ("How many days are there in a week?", "The number of days in a week is", "seven", "nine", ("7",)),
    ("What color do you get when you mix blue and yellow?", "Blue and yellow make", "green", "white", ()),
    ("Which planet is known as the Red Planet?", "The Red Planet is", "Mars", "Venus", ()),
    ("What is 2 + 2?", "2 + 2 =", "4", "7", ("four",)),
    ("What is the opposite of hot?", "The opposite of hot is", "cold", "loud", ()),
    ("What is the chemical symbol for water?", "The symbol for water is", "H2O", "NaCl", ()),
    ("Who wrote the play Romeo and Juliet?", "The play was written by", "Shakespeare", "Mozart", ()),
    ("What is the capital of Japan?", "The capital of Japan is", "Tokyo", "Madrid", ()),
    ("How many legs does a spider have?", "The number of legs of a spider is", "eight", "five", ("8",)),
    ("What is the largest ocean on Earth?", "The largest ocean on Earth is the", "Pacific", "Arctic", ()),
    ("Which month comes after March?", "The month after March is", "April", "October", ()),
    ("What is the capital of Italy?", "The capital of Italy is", "Rome", "Oslo", ()),
    ("Which animal is known as man's best friend?", "Man's best friend is the", "dog", "shark", ("dogs",)),
    ("How many months are there in a year?", "The number of months in a year is", "twelve", "thirty", ("12",)),
    ("At how many degrees Celsius does water freeze?", "Water freezes at", "0", "50", ("zero",)),
    ("Which language is mainly spoken in Brazil?", "The language of Brazil is", "Portuguese", "Swedish", ()),
    ("What gas do people need to breathe to live?", "People need to breathe", "oxygen", "helium", ()),
    ("What is 10 minus 3?", "10 - 3 =", "7", "2", ("seven",)),
    ("On which continent is Egypt?", "Egypt is in", "Africa", "Australia", ()),
    ("What is the largest planet in the solar system?", "The largest planet is", "Jupiter", "Mercury", ()),
    ("What is the capital of Spain?", "The capital of Spain is", "Madrid", "Tokyo", ()),
    ("How many minutes are there in an hour?", "The number of minutes in an hour is", "sixty", "eleven", ("60",)),
    ("Who painted the Mona Lisa?", "The Mona Lisa was painted by", "Leonardo da Vinci", "Napoleon", ("leonardo",)),
)


def holds_one_of(answers: tuple[str, ...]) -> Check:
    """1 where the answer holds one of these words or numbers by itself, else 0."""
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(answer.casefold())}(?!\w)" for answer in answers))
    return lambda text: float(pattern.search(text.casefold()) is not None)


PROBES = tuple(
    Probe(FAMILY, question, holds_one_of((right, *others)), right=f"{start} {right}", wrong=f"{start} {wrong}")
    for question, start, right, wrong, others in QUESTIONS
)
