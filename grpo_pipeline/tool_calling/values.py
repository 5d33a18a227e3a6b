"""Values of arguments: what stands in the call, and how a request says it."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from grpo_pipeline.tool_calling.catalog import Parameter, pools

NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
MONTHS = tuple("January February March April May June July August September October November December".split())
STATES = {"CO": "Colorado", "TX": "Texas", "OR": "Oregon", "GA": "Georgia", "AZ": "Arizona", "TN": "Tennessee"}
CURRENCIES = {
    "USD": "US dollars",
    "EUR": "euros",
    "GBP": "British pounds",
    "JPY": "Japanese yen",
    "CHF": "Swiss francs",
}
CURRENCIES |= {"CAD": "Canadian dollars", "INR": "Indian rupees", "MXN": "Mexican pesos", "SEK": "Swedish kronor"}
LONGEST_LIST = 5
COMPOSED_SHARE = 0.5
COMPOSED = {
    "person": "$first_name $last_name",
    "athlete": "$first_name $last_name",
    "scientist": "$first_name $last_name",
    "author": "$first_name $last_name",
    "painter": "$first_name $last_name",
    "company": "$noun $company_suffix",
    "book": "The $adjective $noun",
    "movie": "The $adjective $noun",
    "song": "$adjective $noun",
    "game": "$adjective $noun",
    "artist": "The $adjective $noun",
    "hotel": "$adjective $noun Hotel",
    "restaurant": "The $adjective $noun",
    "museum": "$last_name Museum",
    "playlist": "$adjective $noun",
    "product": "$color $product",
    "address": "$last_name Street",
    "meeting": "$company_suffix Meeting",
    "team": "$city $noun",
    "university": "University of $city",
    "landmark": "$last_name Tower",
}


@dataclass(frozen=True)
class Said:
    """A value as a call holds it and as a request says it."""

    value: Any
    text: str


Sampler = Callable[[Random], Said]


@dataclass(frozen=True)
class Kind:
    """One parameter's values in one tool: its JSON schema without the description, a note for that, and a sampler."""

    schema: dict[str, Any]
    note: str
    sample: Sampler


def make_kind(parameter: Parameter, rng: Random) -> Kind:
    """Decide how one tool wants a parameter's values: number type, unit, format."""
    name, *details = parameter.kind
    return _MAKERS[name](details, rng)


def _plain(value: float) -> Said:
    return Said(value, str(value))


def _shortest(value: float) -> float:
    return int(value) if value == int(value) else value


def _grouped(value: int, rng: Random) -> str:
    return f"{value:,}" if value >= 1000 and rng.random() < 0.4 else str(value)


def _int(details: list[str], rng: Random) -> Kind:
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        value = draw.randint(low, high)
        if high >= 1000 and draw.random() < 0.7:
            value = max(low, round(value, -2))
        return Said(value, _grouped(value, draw))

    return Kind({"type": "integer"}, "", sample)


def _num(details: list[str], rng: Random) -> Kind:
    low, high, places = float(details[0]), float(details[1]), int(details[2])

    def sample(draw: Random) -> Said:
        value = round(draw.uniform(low, high), places)
        if high > 10 and draw.random() < 0.35:
            value = round(value)
        return _plain(_shortest(value))

    return Kind({"type": "number"}, "", sample)


def _year(details: list[str], rng: Random) -> Kind:
    low, high = int(details[0]), int(details[1])
    return Kind({"type": "integer"}, "", lambda draw: _plain(draw.randint(low, high)))


def _small(details: list[str], rng: Random) -> Kind:
    def sample(draw: Random) -> Said:
        text = f"{draw.choice(('1', '2', '3', '4.5', '1.6', '6'))}e-{draw.choice((3, 6, 9))}"
        return Said(float(text), text)

    return Kind({"type": "number"}, "", sample)


def _count(details: list[str], rng: Random) -> Kind:
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        value = draw.randint(low, min(high, 12) if draw.random() < 0.6 else high)
        words = 2 <= value <= 12 and draw.random() < 0.35
        return Said(value, NUMBER_WORDS[value - 2] if words else str(value))

    return Kind({"type": "integer"}, "", sample)


def _measure(details: list[str], rng: Random) -> Kind:
    low, high, unit = int(details[0]), int(details[1]), rng.choice(details[2].split(","))
    whole = rng.random() < 0.5

    def sample(draw: Random) -> Said:
        value: float = draw.randint(low, high)
        if not whole and draw.random() < 0.5:
            value = _shortest(round(value + draw.random(), 1))
        short = "" if draw.random() < 0.2 else f" {unit}"
        return Said(value, f"{value}{short}")

    return Kind({"type": "integer" if whole else "number"}, f"in {unit}", sample)


def _money(details: list[str], rng: Random) -> Kind:
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


def _percent(details: list[str], rng: Random) -> Kind:
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        value = draw.randint(low, high)
        return Said(value, _spoken_percent(value, draw))

    return Kind({"type": "integer"}, "", sample)


def _rate(details: list[str], rng: Random) -> Kind:
    """A rate that is spoken in percent, and stands in the call in percent or as a fraction, as its tool wants."""
    low, high, fraction = int(details[0]), int(details[1]), rng.random() < 0.6

    def sample(draw: Random) -> Said:
        tenths = draw.randint(low * 2, high * 2) * 5
        value = tenths / 10 if tenths % 10 else tenths // 10
        return Said(round(value / 100, 4) if fraction else value, _spoken_percent(value, draw))

    return Kind({"type": "number"}, "as a decimal, e.g. 0.07" if fraction else "in percent", sample)


def _share(details: list[str], rng: Random) -> Kind:
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        hundredths = draw.randint(low, high)
        value = hundredths / 100
        return Said(value, str(value) if draw.random() < 0.6 else _spoken_percent(hundredths, draw))

    return Kind({"type": "number"}, "", sample)


def _minutes(details: list[str], rng: Random) -> Kind:
    low, high = int(details[0]), int(details[1])

    def sample(draw: Random) -> Said:
        if draw.random() < 0.25:
            return draw.choice(
                (Said(60, "one hour"), Said(120, "2 hours"), Said(30, "half an hour"), Said(90, "90 min"))
            )
        value = max(low, draw.randint(low, high) // 5 * 5)
        return Said(value, f"{value} {draw.choice(('minutes', 'minutes', 'min'))}")

    return Kind({"type": "integer"}, "", sample)


def _id_number(details: list[str], rng: Random) -> Kind:
    text = rng.random() < 0.4

    def sample(draw: Random) -> Said:
        value = draw.randint(100, 99999)
        return Said(str(value) if text else value, str(value))

    return Kind({"type": "string" if text else "integer"}, "", sample)


def _code(details: list[str], rng: Random) -> Kind:
    def sample(draw: Random) -> Said:
        letters = "".join(draw.choices(string.ascii_uppercase, k=draw.randint(1, 3)))
        digits = "".join(draw.choices(string.digits, k=draw.randint(3, 6)))
        text = letters + draw.choice(("-", "", "-")) + digits
        return Said(text, text)

    return Kind({"type": "string"}, "", sample)


def _word(pool: str, rng: Random) -> str:
    """A value of a pool, often one that is put together anew: copying must not become remembering."""
    if pool not in COMPOSED or rng.random() > COMPOSED_SHARE:
        return rng.choice(pools()[pool])
    words = COMPOSED[pool].split()
    parts = [rng.choice(pools()[word[1:]]) if word.startswith("$") else word for word in words]
    return " ".join(part if part in pools()["product"] else part[0].upper() + part[1:] for part in parts)


def _pool(details: list[str], rng: Random) -> Kind:
    def sample(draw: Random) -> Said:
        value = _word(details[0], draw)
        return Said(value, value)

    return Kind({"type": "string"}, "", sample)


def _city_state(details: list[str], rng: Random) -> Kind:
    def sample(draw: Random) -> Said:
        value = draw.choice(pools()["city_state"])
        city, _, state = value.partition(", ")
        return Said(value, f"{city}, {STATES[state]}" if state in STATES and draw.random() < 0.4 else value)

    return Kind({"type": "string"}, "", sample)


def _currency(details: list[str], rng: Random) -> Kind:
    def sample(draw: Random) -> Said:
        value = draw.choice(pools()["currency"])
        return Said(value, CURRENCIES[value] if value in CURRENCIES and draw.random() < 0.5 else value)

    return Kind({"type": "string"}, "", sample)


def _enum(details: list[str], rng: Random) -> Kind:
    values = details[0].split("/")
    listed = rng.random() < 0.75

    def sample(draw: Random) -> Said:
        value = draw.choice(values)
        return Said(value, value.replace("_", " "))

    if listed:
        return Kind({"type": "string", "enum": values}, "", sample)
    return Kind({"type": "string"}, "such as " + " or ".join(f"'{value}'" for value in values[:3]), sample)


def _flag(details: list[str], rng: Random) -> Kind:
    def sample(draw: Random) -> Said:
        return Said(draw.random() < 0.75, "")

    return Kind({"type": "boolean"}, "", sample)


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _date(details: list[str], rng: Random) -> Kind:
    written = rng.choice(("%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y"))
    note = {"%Y-%m-%d": "in YYYY-MM-DD format", "%m/%d/%Y": "in MM/DD/YYYY format", "%d.%m.%Y": "as DD.MM.YYYY"}[
        written
    ]

    def sample(draw: Random) -> Said:
        day = date(2021, 1, 1) + timedelta(days=draw.randrange(365 * 6))
        month = MONTHS[day.month - 1]
        words = [f"{month} {day.day}, {day.year}", f"{_ordinal(day.day)} {month} {day.year}"]
        words += [f"{month} {_ordinal(day.day)}, {day.year}", f"{day.day} {month} {day.year}"]
        text = day.strftime(written)
        return Said(text, text if draw.random() < 0.4 else draw.choice(words))

    return Kind({"type": "string"}, note, sample)


def _time(details: list[str], rng: Random) -> Kind:
    clock = rng.random() < 0.6

    def sample(draw: Random) -> Said:
        hour, minute = draw.randint(7, 22), draw.choice((0, 0, 0, 15, 30, 45))
        text = f"{hour:02d}:{minute:02d}"
        past = f":{minute:02d}" if minute else ""
        spoken = f"{(hour - 1) % 12 + 1}{past}{draw.choice((' ', ''))}{'am' if hour < 12 else 'pm'}"
        if not clock:
            return Said(spoken, spoken)
        return Said(text, text if draw.random() < 0.5 else spoken)

    return Kind({"type": "string"}, "in 24-hour HH:MM format" if clock else "", sample)


def _enumerated(texts: list[str], rng: Random) -> str:
    if rng.random() < 0.7:
        return f"{', '.join(texts[:-1])}{',' if len(texts) > 2 and rng.random() < 0.4 else ''} and {texts[-1]}"
    return ", ".join(texts)


def _list(details: list[str], rng: Random) -> Kind:
    if details[0] == "pool":
        return _list_of_words(pools()[details[1]])
    low, high, whole = int(details[1]), int(details[2]), details[0] == "int"

    def sample(draw: Random) -> Said:
        size = draw.randint(3, LONGEST_LIST + 1) if high > 9 else 3
        values: list[float] = [
            draw.randint(low, high) if whole else _shortest(round(draw.uniform(low, high), 1)) for _ in range(size)
        ]
        texts = [str(value) for value in values]
        return Said(values, f"[{', '.join(texts)}]" if draw.random() < 0.5 else _enumerated(texts, draw))

    return Kind({"type": "array", "items": {"type": "integer" if whole else "number"}}, "", sample)


def _list_of_words(pool: tuple[str, ...]) -> Kind:
    def sample(draw: Random) -> Said:
        values = draw.sample(pool, draw.choice((2, 2, 3, 3, 4)))
        return Said(values, _enumerated(values, draw))

    return Kind({"type": "array", "items": {"type": "string"}}, "", sample)


_MAKERS: dict[str, Callable[[list[str], Random], Kind]] = {
    "int": _int,
    "num": _num,
    "year": _year,
    "small": _small,
    "count": _count,
    "measure": _measure,
    "money": _money,
    "percent": _percent,
    "rate": _rate,
    "share": _share,
    "minutes": _minutes,
    "idnum": _id_number,
    "code": _code,
    "pool": _pool,
    "city_state": _city_state,
    "currency": _currency,
    "enum": _enum,
    "flag": _flag,
    "date": _date,
    "time": _time,
    "list": _list,
}
