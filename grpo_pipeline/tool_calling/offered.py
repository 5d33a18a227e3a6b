"""A tool as a scenario offers it and a request for calls, whatever table they are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from grpo_pipeline.conversation import ToolCall


@dataclass(frozen=True)
class OfferedTool:
    """One tool in one scenario."""

    name: str
    domain: str
    task: str
    """What it is for, in words that no other task has."""
    schema: dict[str, Any]
    needless_call: ToolCall
    """A call that is right by its schema, though nobody asked for it."""


@dataclass(frozen=True)
class Asked:
    """What a user says, the tools that it is about, and the right calls."""

    text: str
    tools: tuple[OfferedTool, ...]
    calls: tuple[ToolCall, ...]


class Source(Protocol):
    """Tools of one make, and requests for them."""

    def one(self, rng: Random) -> Asked:
        """A request that wants one call."""
        ...

    def several(self, rng: Random) -> Asked:
        """A request that wants several calls of one tool."""
        ...

    def two(self, rng: Random) -> Asked:
        """A request that wants a call of each of two tools."""
        ...

    def others(self, tool: OfferedTool, count: int, rng: Random) -> Sequence[OfferedTool]:
        """Tools for other tasks, many of the same domain."""
        ...
