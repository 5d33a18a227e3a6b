"""The split into training and held-out pairs.

The side of a pair is a hash of its contributor (of its prompt where nobody is named, or where the split is by prompt),
so it is the same in every week and whatever else is in the data. What would leak is left out: a pair whose prompt is a
near-duplicate of an *earlier* kept pair on the other side. Later pairs never change what was decided on earlier ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.dataset.similar_prompts import similar_across

Side = Literal["train", "held_out"]
OTHER_SIDE: dict[Side, Side] = {"train": "held_out", "held_out": "train"}

BOTH_SIDES = "contributors_on_both_sides"
LEAK = "would_leak"


@dataclass(frozen=True)
class Placed:
    """Where one pair goes: a side, or none and the reason why."""

    side: Side | None
    reason: str | None


def unit_name(salt: str, kind: Literal["contributor", "prompt"], text: str) -> str:
    """The public name of a contributor or a prompt: 16 hex digits from which nobody can be read without the salt."""
    return hashlib.sha256(f"{salt}\0{kind}\0{text}".encode()).hexdigest()[:16]


def side_of(name: str, held_out_fraction: float) -> Side:
    """The side that a unit's name falls on."""
    return "held_out" if int(name, 16) < held_out_fraction * 16 ** len(name) else "train"


def contributor_names(user_ids: Iterable[str | None], question: str, settings: DatasetSettings) -> list[str]:
    """The public names of a pair's contributors; a pair of nobody's is named by its prompt."""
    known = dict.fromkeys(user.strip() for user in user_ids if user and user.strip())
    named = [unit_name(settings.split_salt, "contributor", user) for user in known]
    return named or [unit_name(settings.split_salt, "prompt", question)]


def place(questions: list[str], contributors: list[list[str]], settings: DatasetSettings) -> list[Placed]:
    """A side or a reason for every pair.

    Args:
        questions: what each pair asks, normalized; in the order in which the pairs were made.
        contributors: the public names of each pair's contributors.
        settings: what the split keeps whole, and how much is held out.
    """
    sides = [_sides(*pair, settings) for pair in zip(questions, contributors, strict=True)]
    asked: dict[Side, dict[str, None]] = {"train": {}, "held_out": {}}
    for question, pair_sides in zip(questions, sides, strict=True):
        if len(pair_sides) == 1:
            asked[pair_sides[0]][question] = None
    similar = similar_across(list(asked["held_out"]), list(asked["train"]), settings.leak_similarity)

    kept: dict[Side, set[str]] = {"train": set(), "held_out": set()}
    placed = []
    for question, pair_sides in zip(questions, sides, strict=True):
        if len(pair_sides) > 1:
            placed.append(Placed(None, BOTH_SIDES))
            continue
        side = pair_sides[0]
        if not kept[OTHER_SIDE[side]].isdisjoint(similar.get(question, ())):
            placed.append(Placed(None, LEAK))
            continue
        kept[side].add(question)
        placed.append(Placed(side, None))
    return placed


def _sides(question: str, contributors: list[str], settings: DatasetSettings) -> list[Side]:
    by_prompt = settings.hold_out_by == "prompt"
    names = [unit_name(settings.split_salt, "prompt", question)] if by_prompt else contributors
    return sorted({side_of(name, settings.held_out_fraction) for name in names})
