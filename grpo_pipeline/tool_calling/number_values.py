"""Values that are numbers: counts, measures, money, rates, years, and how people say them."""

from __future__ import annotations

from random import Random

from grpo_pipeline.tool_calling.kinds import Kind, Said

NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def _plain(value: float) -> Said:
    return Said(value, str(value))


def shortest(value: float) -> float:
    """A whole number as such."""
    return int(value) if value == int(value) else value


def _grouped(value: int, rng: Random) -> str:
    return f"{value:,}" if value >= 1000 and rng.random() < 0.4 else str(value)


def integer(details: list[str], rng: Random) -> Kind:
    """Whole numbers between two bounds; large ones are mostly round."""
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        value = draw.randint(low, high)
        if high >= 1000 and draw.random() < 0.7:
            value = max(low, round(value, -2))
        return Said(value, _grouped(value, draw))

    return Kind({"type": "integer"}, "", sample)


def number(details: list[str], rng: Random) -> Kind:
    """Numbers with decimal places."""
    low, high, places = float(details[0]), float(details[1]), int(details[2])

    def sample(draw: Random) -> Said:
        value = round(draw.uniform(low, high), places)
        if high > 10 and draw.random() < 0.35:
            value = round(value)
        return _plain(shortest(value))

    return Kind({"type": "number"}, "", sample)


def year(details: list[str], rng: Random) -> Kind:
    """Years, which nobody groups by thousands."""
    low, high = int(details[0]), int(details[1])
    return Kind({"type": "integer"}, "", lambda draw: _plain(draw.randint(low, high)))


def small(details: list[str], rng: Random) -> Kind:
    """Tiny numbers in scientific notation."""

    def sample(draw: Random) -> Said:
        text = f"{draw.choice(('1', '2', '3', '4.5', '1.6', '6'))}e-{draw.choice((3, 6, 9))}"
        return Said(float(text), text)

    return Kind({"type": "number"}, "", sample)


def count(details: list[str], rng: Random) -> Kind:
    """Small whole numbers, often in words."""
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        value = draw.randint(low, min(high, 12) if draw.random() < 0.6 else high)
        words = 2 <= value <= 12 and draw.random() < 0.35
        return Said(value, NUMBER_WORDS[value - 2] if words else str(value))

    return Kind({"type": "integer"}, "", sample)


def measure(details: list[str], rng: Random) -> Kind:
    """Lengths in the unit that the tool states."""
    low, high, unit = int(details[0]), int(details[1]), rng.choice(details[2].split(","))
    whole = rng.random() < 0.5

    def sample(draw: Random) -> Said:
        value: float = draw.randint(low, high)
        if not whole and draw.random() < 0.5:
            value = shortest(round(value + draw.random(), 1))
        short = "" if draw.random() < 0.2 else f" {unit}"
        return Said(value, f"{value}{short}")

    return Kind({"type": "integer" if whole else "number"}, f"in {unit}", sample)


def money(details: list[str], rng: Random) -> Kind:
    """Round amounts, with and without a sign for dollars."""
    low, high = int(details[0]), int(details[1])
    whole = rng.random() < 0.7

    def sample(draw: Random) -> Said:
        value: float = draw.randint(low, high)
        step = 5 if value < 200 else 50 if value < 5000 else 1000
        value = max(low, round(value / step) * step)
        if not whole and draw.random() < 0.3:
            value = round(value + draw.randint(1, 99) / 100, 2)
        spoken = _grouped(value, draw) if isinstance(value, int) else str(value)
        return Said(value, draw.choice((f"${spoken}", f"${spoken}", f"{spoken} dollars", spoken)))

    return Kind({"type": "integer" if whole else "number"}, "in dollars" if rng.random() < 0.4 else "", sample)


def _spoken_percent(value: float, rng: Random) -> str:
    return f"{value}{rng.choice(('%', '%', ' percent'))}"


def percent(details: list[str], rng: Random) -> Kind:
    """Whole percentages."""
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        value = draw.randint(low, high)
        return Said(value, _spoken_percent(value, draw))

    return Kind({"type": "integer"}, "", sample)


def rate(details: list[str], rng: Random) -> Kind:
    """A rate that is spoken in percent, and stands in the call in percent or as a fraction, as its tool wants."""
    low, high, fraction = int(details[0]), int(details[1]), rng.random() < 0.6

    def sample(draw: Random) -> Said:
        tenths = draw.randint(low * 2, high * 2) * 5
        value = tenths / 10 if tenths % 10 else tenths // 10
        return Said(round(value / 100, 4) if fraction else value, _spoken_percent(value, draw))

    return Kind({"type": "number"}, "as a decimal, e.g. 0.07" if fraction else "in percent", sample)


def share(details: list[str], rng: Random) -> Kind:
    """Fractions of 1, said as such or in percent."""
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        hundredths = draw.randint(low, high)
        value = hundredths / 100
        return Said(value, str(value) if draw.random() < 0.6 else _spoken_percent(hundredths, draw))

    return Kind({"type": "number"}, "", sample)


def minutes(details: list[str], rng: Random) -> Kind:
    """Durations in minutes, also said in hours."""
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        if draw.random() < 0.25:
            return draw.choice(
                (Said(60, "one hour"), Said(120, "2 hours"), Said(30, "half an hour"), Said(90, "90 min"))
            )
        value = max(low, draw.randint(low, high) // 5 * 5)
        return Said(value, f"{value} {draw.choice(('minutes', 'minutes', 'min'))}")

    return Kind({"type": "integer"}, "", sample)


def id_number(details: list[str], rng: Random) -> Kind:
    """Numbers of records, as numbers or as text."""
    text = rng.random() < 0.4

    def sample(draw: Random) -> Said:
        value = draw.randint(100, 99999)
        return Said(str(value) if text else value, str(value))

    return Kind({"type": "string" if text else "integer"}, "", sample)
