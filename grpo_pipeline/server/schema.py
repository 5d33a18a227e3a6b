"""What all bodies and answers of the API have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

TEXT_BYTES, NAME_BYTES = 262_144, 200


class Body(BaseModel):
    """A body: camelCase names, and nothing that there is not."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Answer(BaseModel):
    """An answer: camelCase names."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def storable(text: str, most: int) -> str:
    """The text itself, where Postgres can hold it.

    Raises:
        ValueError: it holds what Postgres cannot, or is too long.
    """
    if "\0" in text:
        raise ValueError("holds a NUL character, which cannot be stored")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair, which is no character") from error
    if size > most:
        raise ValueError(f"is longer than {most} bytes")
    return text


def _text(text: str) -> str:
    return storable(text, TEXT_BYTES)


def _name(text: str) -> str:
    return storable(text, NAME_BYTES)


Text = Annotated[str, Field(max_length=TEXT_BYTES), AfterValidator(_text)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_BYTES), AfterValidator(_name)]
