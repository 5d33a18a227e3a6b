"""How near an answer is to the user's correction, and how much nearer than to the answer that was corrected.

Similarity is chrF (Popović 2015, https://aclanthology.org/W15-3049): the F2 score of character n-grams up to length 6,
which needs no tokenizer, no model and no language; here from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sacrebleu.metrics.chrf import CHRF

_CHRF = CHRF()


@lru_cache(maxsize=16384)
def chrf(text: str, reference: str) -> float:
    """Similarity of a text to a reference, from 0 (nothing in common) to 1 (equal but for white space)."""
    if not text.strip() or not reference.strip():
        return 0.0
    return float(_CHRF.sentence_score(text, [reference]).score) / 100


def similarity(
    completions: Sequence[str], chosen: Sequence[str], rejected: Sequence[str], **columns: object
) -> list[float | None]:
    """Nearer to the correction than to the corrected answer: from -1 (the corrected answer) to 1 (the correction).

    None where the pair gives no direction, as its two answers are equal.
    """
    return [
        None if kept == dropped else chrf(text, kept) - chrf(text, dropped)
        for text, kept, dropped in zip(completions, chosen, rejected, strict=True)
    ]


def closeness(completions: Sequence[str], chosen: Sequence[str], **columns: object) -> list[float | None]:
    """Near to the correction: from 0 to 1.

    Keeps the contrast honest: text that has nothing to do with either answer would otherwise beat a fair answer
    that resembles the corrected one.
    """
    return [chrf(text, kept) for text, kept in zip(completions, chosen, strict=True)]
