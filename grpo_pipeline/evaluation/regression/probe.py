"""A probe: one fixed request to a model, and a program that scores the answer from 0 to 1. Pure, no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Check = Callable[[str], float]


@dataclass(frozen=True)
class Probe:
    """One request of the regression suite; no user wrote any of it."""

    family: str
    """Its metric, such as `probe_format`."""
    prompt: str
    check: Check
    """The score of an answer."""
    tools: str | None = None
    right: str | None = None
    """An answer that a model should find likelier than `wrong`."""
    wrong: str | None = None
