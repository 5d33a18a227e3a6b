"""Requests that need no tool, and what is said where the tools offered do not fit."""

from __future__ import annotations

from random import Random

from grpo_pipeline.tool_calling.catalog import pools

REFUSALS = (
    "None of the tools I have can do that.",
    "I have no tool for this request.",
    "I cannot do that with the tools at hand.",
    "The tools I have do not fit this request.",
    "There is no tool here that can help with that.",
)
# Request and answer; {pool} is a value of that pool.
SMALL_TALK = (
    ("Hello, who are you?", "I am an assistant that can call tools for you. What do you need?"),
    ("Thanks, that was helpful!", "You are welcome. Tell me if you need anything else."),
    ("Good morning!", "Good morning. What can I do for you?"),
    (
        "Write a short poem about the {animal}.",
        "The {animal} wanders, quiet and free, as wild as the wind and the sea.",
    ),
    ("Do you like {genre} music?", "I have no taste of my own, but many people enjoy {genre}."),
    ("What do you think about {topic}?", "There is much to say about {topic}; what would you like to discuss?"),
    ("Give me a tip for learning {language}.", "Practice {language} a little every day, and speak from the start."),
    ("Why do people enjoy {hobby}?", "Many find that {hobby} relaxes them and brings them together."),
    ("Explain in one sentence what {term} is.", "In short, {term} is a concept best learned from an example."),
    ("Tell me a joke about a {job}.", "Why did the {job} bring a ladder? To reach the next level."),
    ("I had a bad day at {company}.", "I am sorry to hear that. Do you want to talk about it?"),
    ("How should I start a letter to my {relation}?", "Start with their name and a warm word."),
    ("Which is better, {food} or {dish}?", "Both are good; {food} is lighter, {dish} is more filling."),
    ("My {relation} loves the {instrument}.", "How nice! The {instrument} has a beautiful sound."),
    ("Can you help me later with something in {city}?", "Of course. Come back whenever you are ready."),
)


def draw_small_talk(rng: Random) -> tuple[str, str]:
    """A request and its answer."""
    request, answer = rng.choice(SMALL_TALK)
    values = {name: rng.choice(pool) for name, pool in sorted(pools().items())}
    return request.format(**values), answer.format(**values)
