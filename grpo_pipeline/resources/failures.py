"""Errors a person can put right, shown in the run as one sentence and never tried again."""

from __future__ import annotations

import errno
import functools
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import dagster as dg
import polars as pl

from grpo_pipeline.config import load_settings
from grpo_pipeline.errors import PipelineError

P = ParamSpec("P")
T = TypeVar("T")

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# polars says it in words alone.
DISK_FULL_WORDS = "no space left on device"


def fails_clearly(body: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """Turn what a person can put right in an asset's body into a failure with one sentence and no retry."""

    @functools.wraps(body)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        try:
            yield from body(*args, **kwargs)
        except PipelineError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except (OSError, pl.exceptions.PolarsError) as error:
            explained = _explained(error)
            if explained is None:
                raise
            raise explained from None

    return wrapped


def _explained(error: OSError | pl.exceptions.PolarsError) -> dg.Failure | None:
    if _is_full_disk(error):
        return dg.Failure(
            f"The disk of {load_settings().artifacts} is full: free some space and run the week again. What was "
            "published before is whole, and nothing half-written is.",
            allow_retries=False,
        )
    if isinstance(error, OSError):
        return None
    # polars quotes values in its messages, which may be what users wrote.
    frames = traceback.extract_tb(error.__traceback__)
    own = next((frame for frame in reversed(frames) if "grpo_pipeline" in frame.filename), frames[-1])
    return dg.Failure(
        f"{type(error).__name__} in {own.name} ({Path(own.filename).name}, line {own.lineno}): this is a fault of the "
        "pipeline, please report it. Its message is left out, as it may quote feedback."
    )


def _is_full_disk(error: Exception) -> bool:
    return (isinstance(error, OSError) and error.errno in DISK_FULL) or DISK_FULL_WORDS in str(error).lower()
