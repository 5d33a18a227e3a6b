"""Which other tools stand beside the one that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

SAME_DOMAIN = 0.6


class _InDomain(Protocol):
    @property
    def domain(self) -> str: ...


Item = TypeVar("Item", bound=_InDomain)


def other_items(item: Item, known: Sequence[Item], count: int, rng: Random) -> list[Item]:
    """Draw other items, many of the same domain; those of the domain only once."""
    near = [other for other in known if other.domain == item.domain and other != item]
    far = [other for other in known if other.domain != item.domain]
    found: list[Item] = []
    while len(found) < count:
        drawn = rng.choice(near if near and rng.random() < SAME_DOMAIN else far)
        near = [other for other in near if other != drawn]
        found.append(drawn)
    return found
