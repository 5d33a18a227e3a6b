"""Guards: what no answer should do, whatever it scores otherwise; each from -1 (entirely) to 0 (not at all)."""

from __future__ import annotations

import re
from collections.abc import Sequence

SHORTEST_RATIO = 0.5
LONGEST_RATIO = 2.0
REPEATED_WORDS = 3
COPIED_WORDS = 4
THINKING = re.compile(r"</?think>")


def _ngrams(text: str, size: int) -> list[tuple[str, ...]]:
    words = text.split()
    # Scripts without spaces, and letters repeated without end, count by letters.
    pieces = words if len(words) * 20 > len(text) else list("".join(words))
    return list(zip(*[pieces[offset:] for offset in range(size)], strict=False))


def _repeated_share(text: str) -> float:
    found = _ngrams(text, REPEATED_WORDS)
    return 1.0 - len(set(found)) / len(found) if found else 0.0


def repetition(completions: Sequence[str], chosen: Sequence[str], **columns: object) -> list[float | None]:
    """Repeats itself: minus the share of three-word sequences that were there before, beyond the correction's own."""
    return [
        min(0.0, _repeated_share(kept) - _repeated_share(text)) for text, kept in zip(completions, chosen, strict=True)
    ]


def length_ratio(completions: Sequence[str], chosen: Sequence[str], **columns: object) -> list[float | None]:
    """Far from the correction's length: 0 between half and twice of it, down to -1 at nothing or four times."""
    scores: list[float | None] = []
    for text, kept in zip(completions, chosen, strict=True):
        ratio = len(text.strip()) / max(1, len(kept.strip()))
        too_short = max(0.0, 1.0 - ratio / SHORTEST_RATIO)
        too_long = min(1.0, max(0.0, ratio / LONGEST_RATIO - 1.0))
        scores.append(-max(too_short, too_long))
    return scores


def empty(completions: Sequence[str], **columns: object) -> list[float | None]:
    """Says nothing: -1."""
    return [0.0 if text.strip() else -1.0 for text in completions]


def _copied_share(text: str, prompt: str) -> float:
    found = _ngrams(text.casefold(), COPIED_WORDS)
    known = set(_ngrams(prompt.casefold(), COPIED_WORDS))
    return sum(piece in known for piece in found) / len(found) if found else 0.0


def prompt_copy(
    completions: Sequence[str], chosen: Sequence[str], question: Sequence[str], **columns: object
) -> list[float | None]:
    """Copies the prompt: minus the share of four-word sequences from it, beyond what the correction quotes."""
    return [
        min(0.0, _copied_share(kept, asked) - _copied_share(text, asked))
        for text, kept, asked in zip(completions, chosen, question, strict=True)
    ]


def leaked_thinking(completions: Sequence[str], **columns: object) -> list[float | None]:
    """Shows its thinking: -1 where a think tag is left in the answer."""
    return [-1.0 if THINKING.search(text) else 0.0 for text in completions]


def truncated(completions: Sequence[str], cut: Sequence[bool], **columns: object) -> list[float | None]:
    """Found no end: -1 where the answer was cut at the longest length allowed."""
    return [-1.0 if was_cut else 0.0 for was_cut in cut]
