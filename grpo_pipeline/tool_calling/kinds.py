"""What a value of an argument is: what stands in the call, how a request says it, and what its schema says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class Said:
    """A value as a call holds it and as a request says it."""

    value: Any
    text: str


Sampler = Callable[[Random], Said]
Maker = Callable[[list[str], Random], "Kind"]


@dataclass(frozen=True)
class Kind:
    """One parameter's values in one tool: its JSON schema without the description, a note for that, and a sampler."""

    schema: dict[str, Any]
    note: str
    sample: Sampler
