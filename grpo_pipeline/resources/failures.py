"""Errors a person can put right, shown in the run as one sentence and never tried again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import dagster as dg

from grpo_pipeline.errors import PipelineError

P = ParamSpec("P")
T = TypeVar("T")


def fails_clearly(body: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """Turn a PipelineError in an asset's body into a failure with the same sentence and no retry."""

    @functools.wraps(body)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        try:
            yield from body(*args, **kwargs)
        except PipelineError as error:
            raise dg.Failure(str(error), allow_retries=False) from error

    return wrapped
