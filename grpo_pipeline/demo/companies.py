"""The companies that the sample feedback is about.

Names are put together from word parts and every figure is drawn at random: a likeness to a real company is chance.
Well-known names appear in questions that are answered by a tool call alone, so no figure is ever stated about them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

WELL_KNOWN = ("Ramp", "Brex", "Stripe")

FIRST_PARTS = (
    "Alder", "Brim", "Calyx", "Dovet", "Ember", "Fjell", "Gild", "Harrow", "Inlet", "Jutta", "Kestrel", "Lumo",
    "Marl", "Nivala", "Orchid", "Pellar", "Quill", "Rook", "Sable", "Tarn", "Umbra", "Vesper", "Wren", "Yarrow",
    "Zephyr", "Bramble", "Cobalt", "Drift", "Fathom", "Hazel",
)  # fmt: skip
LAST_PARTS = ("ly", "pay", "desk", "grid", "stack", "ledger", "loop", "ware", "mint", "flow")

SECTORS = (
    "payments", "payroll", "lending", "insurance", "logistics", "cloud security", "spend cards", "tax software",
    "health records", "recruiting", "energy trading", "food delivery", "data tooling", "e-signature", "rent payments",
)  # fmt: skip
CITIES = (
    "Oslo", "Austin", "Lisbon", "Toronto", "Berlin", "Denver", "Dublin", "Utrecht", "Seoul", "Lyon", "Tallinn",
    "Leeds",
)  # fmt: skip
ROUNDS = ("Seed", "Series A", "Series B", "Series C", "Series D")
RISKS = (
    "two clients bring 40% of sales",
    "churn among small accounts",
    "a license is up for renewal",
    "prices fall every year",
    "one bank holds all deposits",
    "sales cycles grow longer",
    "the founder still sells every deal",
    "a larger rival copies the product",
    "cloud costs eat the margin",
    "growth stalls outside the home market",
    "debt is due next spring",
    "support is short of staff",
)


@dataclass(frozen=True)
class Company:
    """A made-up company and the figures that every correction about it agrees on.

    Revenue and funding are in millions of dollars, growth and margin in percent, the price in dollars a month, the fee
    in percent of volume.
    """

    name: str
    sector: str
    city: str
    revenue: int
    growth: int
    margin: int
    round: str
    raised: int
    price: int
    fee: float
    risk: str


def made_up_companies(rng: random.Random, count: int) -> list[Company]:
    """`count` companies with different names (300 are possible)."""
    names = [first + last for first in FIRST_PARTS for last in LAST_PARTS]
    return [_made_up_company(rng, name) for name in rng.sample(names, count)]


def _made_up_company(rng: random.Random, name: str) -> Company:
    size = rng.randrange(len(ROUNDS))
    return Company(
        name=name,
        sector=rng.choice(SECTORS),
        city=rng.choice(CITIES),
        revenue=rng.randint(2, 9) * 4**size // 2 + rng.randint(1, 3),
        growth=rng.randint(8, 140),
        margin=rng.randint(38, 86),
        round=ROUNDS[size],
        raised=rng.randint(2, 9) * 3**size,
        price=rng.choice((9, 19, 29, 49, 79, 99, 149)),
        fee=rng.randint(4, 31) / 10,
        risk=rng.choice(RISKS),
    )
