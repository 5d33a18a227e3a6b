"""A stage's settings as a form in the launchpad, where an empty field means the project's own setting."""

from __future__ import annotations

import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel, Field, ValidationError, create_model

from grpo_pipeline.errors import PipelineError

SettingsT = TypeVar("SettingsT", bound=BaseModel)


def _config_type(annotation: object) -> Any:  # noqa: ANN401
    """The nearest type that Dagster's config system knows."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _config_type(next(part for part in arguments if part is not type(None)))
    if origin is Literal:
        return str
    if origin is tuple:
        return types.GenericAlias(list, (_config_type(arguments[0]),))
    return annotation


def launchpad_config(settings: type[BaseModel]) -> type[dg.Config]:
    """A Dagster config class with every field of a settings model, all of them optional."""
    fields: dict[str, Any] = {
        name: (_config_type(field.annotation) | None, Field(None, description=field.description))
        for name, field in settings.model_fields.items()
    }
    return create_model(settings.__name__.replace("Settings", "Config"), __base__=dg.Config, **fields)


def overridden(settings: SettingsT, config: dg.Config) -> SettingsT:
    """The project's settings with the launchpad's values in their place, validated again.

    Raises:
        PipelineError: a value that the setting does not take.
    """
    stated = {name: value for name, value in config.model_dump().items() if value is not None}
    try:
        return type(settings).model_validate({**settings.model_dump(), **stated})
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise PipelineError("Run configuration that cannot be used: " + "; ".join(faults) + ".") from error
