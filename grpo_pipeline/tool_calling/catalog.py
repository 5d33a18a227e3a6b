"""The parts that scenarios are made of, read from the tables beside this module."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
PLACEHOLDER = re.compile(r"{(\w+)}")
COMPUTE, LOOKUP, SEARCH = "compute", "lookup", "search"


@dataclass(frozen=True)
class Parameter:
    """What a tool can ask for: the names it may have, the kind of its values, and how requests say it."""

    key: str
    names: tuple[str, ...]
    kind: tuple[str, ...]
    about: str
    says: tuple[str, ...]
    denies: tuple[str, ...]
    """How requests say that it is not wanted; only for yes or no."""


@dataclass(frozen=True)
class Task:
    """What a tool can do: a verb and what it is applied to, with parameters that are needed and others."""

    domain: str
    verb: str
    """compute, lookup, search, or a verb of its own."""
    what: str
    """With {parameter} where a request says its value."""
    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def described(self) -> str:
        """The task in words that no other has."""
        return f"{self.domain} {self.verb} {self.what}"

    @property
    def inline(self) -> tuple[str, ...]:
        """The parameters that are said in the middle of `what`."""
        return tuple(PLACEHOLDER.findall(self.what))


def _pieces(text: str, separator: str) -> tuple[str, ...]:
    return tuple(piece.strip() for piece in text.split(separator) if piece.strip())


def _table(name: str) -> dict[str, str]:
    return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))


@cache
def pools() -> dict[str, tuple[str, ...]]:
    """Values by pool."""
    return {name: _pieces(line, ";") for name, line in _table("vocabulary.toml").items()}


@cache
def parameters() -> dict[str, Parameter]:
    """Every parameter by its key."""
    found = {}
    for key, line in _table("parameters.toml").items():
        names, kind, about, says = (piece.strip() for piece in line.split(" | "))
        wanted, _, unwanted = says.partition(" / ")
        found[key] = Parameter(
            key, _pieces(names, ";"), tuple(kind.split()), about, _pieces(wanted, ";"), _pieces(unwanted, ";")
        )
    return found


@cache
def tasks() -> tuple[Task, ...]:
    """Every task, in the order of the table."""
    found = []
    for domain, lines in tomllib.loads((FOLDER / "tools.toml").read_text(encoding="utf-8")).items():
        for line in lines:
            verb, what, listed = (piece.strip() for piece in line.split("|"))
            required, _, optional = listed.partition(";")
            task = Task(domain, verb, what, tuple(required.split()), tuple(optional.split()))
            found.append(task)
    return tuple(found)
