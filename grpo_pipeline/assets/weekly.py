"""The two kinds of weekly assets: data, of which a backfill makes many weeks in one run, and models, one week a run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg

from grpo_pipeline.partitions import WEEKLY

OWNERS = ["team:ml"]
GPU_POOL = "gpu"
Decorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]


def data_asset(**options: Any) -> Decorator:  # noqa: ANN401
    """Like `dg.asset`, for an asset of which any number of weeks are made in one run."""
    return _weekly(dg.BackfillPolicy.single_run(), **options)


def model_asset(**options: Any) -> Decorator:  # noqa: ANN401
    """Like `dg.asset`, for an asset of which a run makes one week."""
    return _weekly(dg.BackfillPolicy.multi_run(max_partitions_per_run=1), **options)


def _weekly(policy: dg.BackfillPolicy, **options: Any) -> Decorator:  # noqa: ANN401
    with warnings.catch_warnings():
        # Said once an asset on every start; the version is pinned and what is used of it is tested.
        warnings.simplefilter("ignore", dg.BetaWarning)
        decorator: Decorator = dg.asset(
            partitions_def=WEEKLY, backfill_policy=policy, owners=OWNERS, code_version="1", **options
        )
    return decorator
