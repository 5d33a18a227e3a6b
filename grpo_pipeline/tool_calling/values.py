"""The kinds of values by the names that the table of parameters gives them."""

from __future__ import annotations

from random import Random

from grpo_pipeline.tool_calling import number_values as numbers
from grpo_pipeline.tool_calling import word_values as words
from grpo_pipeline.tool_calling.catalog import Parameter
from grpo_pipeline.tool_calling.kinds import Kind, Maker

_MAKERS: dict[str, Maker] = {
    "int": numbers.integer,
    "num": numbers.number,
    "year": numbers.year,
    "small": numbers.small,
    "count": numbers.count,
    "measure": numbers.measure,
    "money": numbers.money,
    "percent": numbers.percent,
    "rate": numbers.rate,
    "share": numbers.share,
    "minutes": numbers.minutes,
    "idnum": numbers.id_number,
    "code": words.code,
    "pool": words.pool,
    "city_state": words.city_state,
    "currency": words.currency,
    "enum": words.choice,
    "flag": words.flag,
    "date": words.date,
    "time": words.time,
    "list": words.several,
}


def make_kind(parameter: Parameter, rng: Random) -> Kind:
    """Decide how one tool wants a parameter's values: number type, unit, format."""
    name, *details = parameter.kind
    return _MAKERS[name](details, rng)
