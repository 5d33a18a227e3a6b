"""Which words differ between two answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

# A word or a run of signs, each with the space after it, so that the commonest token is no token of its own.
TOKEN = re.compile(r"\w+\s*|[^\w\s]+\s*|\s+")
# Comparing takes time by the pairs of equal tokens: 200,000 take about a tenth of a second, a text of one word repeated
# 3,000 times would take minutes.
MOST_MATCHES = 200_000
# Between answers that share little, single words in common are chance, and marks around them only hide the text.
LEAST_SHARED = 0.3


@dataclass(frozen=True)
class Piece:
    """A piece of a text, and whether the other text lacks it."""

    text: str
    differs: bool = False


def word_diff(before: str, after: str) -> tuple[list[Piece], list[Piece]] | None:
    """Both texts in pieces, whole where they have little in common; None where they are too long to compare."""
    left, right = TOKEN.findall(before), TOKEN.findall(after)
    counts = Counter(right)
    if sum(count * counts[token] for token, count in Counter(left).items()) > MOST_MATCHES:
        return None
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    shared = sum(len("".join(left[start : start + size])) for start, _, size in matcher.get_matching_blocks())
    if shared < LEAST_SHARED * max(len(before), len(after)):
        return [Piece(before)], [Piece(after)]
    for kind, i, j, k, m in matcher.get_opcodes():
        for side, tokens in zip(pieces, (left[i:j], right[k:m]), strict=True):
            side.extend(_piece(tokens, kind != "equal"))
    return pieces


def _piece(tokens: list[str], differs: bool) -> Iterable[Piece]:
    return [Piece("".join(tokens), differs)] if tokens else []
