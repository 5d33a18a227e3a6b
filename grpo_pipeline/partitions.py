"""The weeks as Dagster partitions."""

from __future__ import annotations

import dagster as dg

from grpo_pipeline.config import load_settings
from grpo_pipeline.weeks import Week


def weekly_partitions(first_week: str) -> dg.WeeklyPartitionsDefinition:
    """Monday-to-Monday weeks in UTC from the first one on; a partition's key is its Monday."""
    # Dagster's own default is weeks from Sunday, which would silently shift every key.
    return dg.WeeklyPartitionsDefinition(start_date=first_week, day_offset=1, timezone="UTC")


# Decorators need the definition when their module loads, so the first week is read from the environment here.
WEEKLY = weekly_partitions(load_settings().first_week)


def weeks_of(context: dg.AssetExecutionContext) -> list[Week]:
    """The weeks that a step works on, earliest first: one, or several in a backfill's single run."""
    return [Week(key) for key in sorted(context.partition_keys)]
