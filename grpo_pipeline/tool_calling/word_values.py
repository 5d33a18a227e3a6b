"""Values that are words, dates, times, yes or no, and lists."""

from __future__ import annotations

import string
from datetime import date as day_of
from datetime import timedelta
from random import Random

from grpo_pipeline.tool_calling.catalog import pools
from grpo_pipeline.tool_calling.kinds import Kind, Said
from grpo_pipeline.tool_calling.number_values import shortest

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

STATES = {"CO": "Colorado", "TX": "Texas", "OR": "Oregon", "GA": "Georgia", "AZ": "Arizona", "TN": "Tennessee"}

CURRENCIES = {
    "USD": "US dollars",
    "EUR": "euros",
    "GBP": "British pounds",
    "JPY": "Japanese yen",
    "CHF": "Swiss francs",
    "CAD": "Canadian dollars",
    "INR": "Indian rupees",
    "MXN": "Mexican pesos",
    "SEK": "Swedish kronor",
}

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


def code(details: list[str], rng: Random) -> Kind:
    """Letters and digits that can only be copied."""

    def sample(draw: Random) -> Said:
        letters = "".join(draw.choices(string.ascii_uppercase, k=draw.randint(1, 3)))
        digits = "".join(draw.choices(string.digits, k=draw.randint(3, 6)))
        text = letters + draw.choice(("-", "", "-")) + digits
        return Said(text, text)

    return Kind({"type": "string"}, "", sample)


def word(pool: str, rng: Random) -> str:
    """A value of a pool, often one that is put together anew: copying must not become remembering."""
    if pool not in COMPOSED or rng.random() > COMPOSED_SHARE:
        return rng.choice(pools()[pool])
    words = COMPOSED[pool].split()
    parts = [rng.choice(pools()[word[1:]]) if word.startswith("$") else word for word in words]
    return " ".join(part if part in pools()["product"] else part[0].upper() + part[1:] for part in parts)


def pool(details: list[str], rng: Random) -> Kind:
    """Values of a pool."""

    def sample(draw: Random) -> Said:
        value = word(details[0], draw)
        return Said(value, value)

    return Kind({"type": "string"}, "", sample)


def city_state(details: list[str], rng: Random) -> Kind:
    """Cities with the short name of their state, also said with the long one."""

    def sample(draw: Random) -> Said:
        value = draw.choice(pools()["city_state"])
        city, _, state = value.partition(", ")
        return Said(value, f"{city}, {STATES[state]}" if state in STATES and draw.random() < 0.4 else value)

    return Kind({"type": "string"}, "", sample)


def currency(details: list[str], rng: Random) -> Kind:
    """Currency codes, also said by name."""

    def sample(draw: Random) -> Said:
        value = draw.choice(pools()["currency"])
        return Said(value, CURRENCIES[value] if value in CURRENCIES and draw.random() < 0.5 else value)

    return Kind({"type": "string"}, "", sample)


def choice(details: list[str], rng: Random) -> Kind:
    """One of few words, which the schema or its description lists."""
    values = details[0].split("/")
    listed = rng.random() < 0.75

    def sample(draw: Random) -> Said:
        value = draw.choice(values)
        return Said(value, value.replace("_", " "))

    if listed:
        return Kind({"type": "string", "enum": values}, "", sample)
    return Kind({"type": "string"}, "such as " + " or ".join(f"'{value}'" for value in values[:3]), sample)


def flag(details: list[str], rng: Random) -> Kind:
    """Yes or no; the words are those of the parameter."""

    def sample(draw: Random) -> Said:
        return Said(draw.random() < 0.75, "")

    return Kind({"type": "boolean"}, "", sample)


def _ordinal(day: int) -> str:
    return f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def date(details: list[str], rng: Random) -> Kind:
    """Dates in the tool's format, said in many ways."""
    written = rng.choice(("%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y"))
    note = {"%Y-%m-%d": "in YYYY-MM-DD format", "%m/%d/%Y": "in MM/DD/YYYY format", "%d.%m.%Y": "as DD.MM.YYYY"}[
        written
    ]

    def sample(draw: Random) -> Said:
        day = day_of(2021, 1, 1) + timedelta(days=draw.randrange(365 * 6))
        month = MONTHS[day.month - 1]
        words = [f"{month} {day.day}, {day.year}", f"{_ordinal(day.day)} {month} {day.year}"]
        words += [f"{month} {_ordinal(day.day)}, {day.year}", f"{day.day} {month} {day.year}"]
        text = day.strftime(written)
        return Said(text, text if draw.random() < 0.4 else draw.choice(words))

    return Kind({"type": "string"}, note, sample)


def time(details: list[str], rng: Random) -> Kind:
    """Times of day, as said or on a 24-hour clock."""
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


def several(details: list[str], rng: Random) -> Kind:
    """Lists of numbers or of words."""
    if details[0] == "pool":
        return _list_of_words(pools()[details[1]])
    low, high, whole = int(details[1]), int(details[2]), details[0] == "int"

    def sample(draw: Random) -> Said:
        size = draw.randint(3, LONGEST_LIST + 1) if high > 9 else 3
        values: list[float] = [
            draw.randint(low, high) if whole else shortest(round(draw.uniform(low, high), 1)) for _ in range(size)
        ]
        texts = [str(value) for value in values]
        return Said(values, f"[{', '.join(texts)}]" if draw.random() < 0.5 else _enumerated(texts, draw))

    return Kind({"type": "array", "items": {"type": "integer" if whole else "number"}}, "", sample)


def _list_of_words(pool: tuple[str, ...]) -> Kind:
    def sample(draw: Random) -> Said:
        values = draw.sample(pool, draw.choice((2, 2, 3, 3, 4)))
        return Said(values, _enumerated(values, draw))

    return Kind({"type": "array", "items": {"type": "string"}}, "", sample)
