"""The file that a process of its own is started with."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from grpo_pipeline.errors import PipelineError

Config = TypeVar("Config", bound=BaseModel)


def require_adapter(folder: Path | None) -> None:
    """See that a folder that is named holds an adapter.

    Raises:
        PipelineError: it does not.
    """
    if folder is not None and not (folder / "adapter_config.json").exists():
        raise PipelineError(f"The folder {folder} holds no adapter: adapter_config.json is missing.")


def faults_of(error: ValidationError, whole: str) -> str:
    """What is wrong with which value, without the values; `whole` names what no single value is to blame for."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or whole}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False)
    )


def read_config(path: Path, kind: type[Config], called: str = "config file") -> Config:
    """The content of a config file.

    Raises:
        PipelineError: it cannot be read, or holds values that do not fit.
    """
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineError(f"The {called} {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise PipelineError(f"The {called} {path} cannot be used: {faults_of(error, 'file')}.") from error
