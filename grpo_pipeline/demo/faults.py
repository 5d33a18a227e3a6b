"""The faults planted in the sample. All personal data in it belongs to nobody."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grpo_pipeline.demo.plan import Row

# Reserved domains, drama numbers, test cards, specimen IBANs, public name servers and published example keys.
PERSONAL_DATA: dict[str, tuple[str, ...]] = {
    "email": ("dana.reyes@example.com", "k.lind+research@example.org", "ops@example.net"),
    "phone": ("+1 202-555-0143", "+44 20 7946 0958", "+1 415-555-0132"),
    "card": ("4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"),
    "iban": ("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NL91 ABNA 0417 1643 00"),
    "ip": ("208.67.222.222", "149.112.112.112", "2001:4860:4860::8888"),
    # Put together here, so that scanners for leaked keys do not take this file for a leak.
    "api_key": ("AKIA" + "IOSFODNN7EXAMPLE", "ghp_" + "EXAMPLE0" * 4 + "Ab3d", "sk-" + "proj-EXAMPLE0000EXAMPLE0000"),
}
NOTES = {
    "email": "send it to {}",
    "phone": "call me at {}",
    "card": "paid with {}",
    "iban": "invoice account {}",
    "ip": "seen from {}",
    "api_key": "our key is {}",
}
REWORDINGS = ((" Risk:", " Risks:"), (" Revenue:", " Revenues:"), (" Fee:", " Fees:"))


def personal_data_notes(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Kinds and notes in turn, each value again and again."""
    notes = [(kind, NOTES[kind].format(values[turn])) for turn in range(3) for kind, values in PERSONAL_DATA.items()]
    rng.shuffle(notes)
    return itertools.cycle(notes)


def reworded(rng: random.Random, row: Row) -> Row:
    """The same correction with a word changed, and the question with another mark at its end."""
    text = row.corrections or ""
    fitting = [(old, new) for old, new in REWORDINGS if old in text]
    old, new = rng.choice(fitting)
    mark = "." if row.prompt.endswith("?") else "!"
    return replace(row, prompt=row.prompt.rstrip("?") + mark, corrections=text.replace(old, new, 1))


def plant_broken_encoding(row: Row) -> Row:
    """A correction that some program read in the wrong encoding."""
    note = "\n- Note: the café’s “run rate” is naïve"
    garbled = note.encode("utf-8").decode("cp1252", errors="replace")
    return replace(row, corrections=f"{row.corrections}{garbled}", planted="broken_encoding")
