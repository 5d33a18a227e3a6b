"""How many words an answer shares with a correction, in the same order: a judge that no training reward uses.

ROUGE-L (Lin 2004, https://aclanthology.org/W04-1013): the F1 score of the longest common subsequence of words. A policy
that learned to please the chrF reward without writing what people write gains nothing here.
"""

from __future__ import annotations

import re
from collections import defaultdict

# Scripts without spaces between words count character by character.
UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


def word_similarity(text: str, reference: str) -> float:
    """From 0 (no word in common) to 1 (the same words in the same order); case and punctuation do not matter."""
    words, wanted = (WORD.findall(item.casefold()) for item in (text, reference))
    if not words or not wanted:
        return 0.0
    return 2.0 * longest_common(words, wanted) / (len(words) + len(wanted))


def longest_common(words: list[str], wanted: list[str]) -> int:
    """The length of the longest common subsequence, a whole row of the table at once in one integer.

    Source: Hyyro 2004, "Bit-parallel LCS-length computation revisited".
    """
    places: defaultdict[str, int] = defaultdict(int)
    for place, word in enumerate(words):
        places[word] |= 1 << place
    whole = (1 << len(words)) - 1
    row = whole
    for word in wanted:
        matched = row & places[word]
        row = ((row + matched) | (row - matched)) & whole
    return len(words) - row.bit_count()
