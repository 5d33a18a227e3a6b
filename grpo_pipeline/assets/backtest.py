"""Backtests in the UI: what `grpo-pipeline backtest` found, shown beside the assets it is about.

No run makes it, as it is about many weeks at once and nothing depends on it: the command reports it when it is done.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import polars as pl

from grpo_pipeline.assets.reporting import picture, table_of
from grpo_pipeline.assets.weekly import OWNERS
from grpo_pipeline.backtest.outcome import ALL, IN_USE, POOLED
from grpo_pipeline.plots import backtest_weeks

backtest = dg.AssetSpec(
    "backtest",
    description="Would it have helped? Past weeks' policies on the week after theirs, as `grpo-pipeline backtest` "
    "last scored them.",
    group_name="evaluation",
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    deps=["grpo_policy", "curated_pairs"],
)


def report_backtest(instance: dg.DagsterInstance, outcome: pl.DataFrame, folder: Path) -> None:
    """Tell the UI what a backtest found: the table, the plot, and one number per deciding metric."""
    pooled = outcome.filter(pl.col("week") == POOLED, pl.col("pairs_of") == ALL, pl.col("against") == IN_USE)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key=backtest.key,
            metadata={
                **picture(backtest_weeks(outcome.to_dicts()), "would it have helped"),
                "outcome": table_of(outcome),
                "folder": dg.MetadataValue.path(folder),
                **{f"{row['metric']} (gain over what was in use)": row["difference"] for row in pooled.to_dicts()},
            },
        )
    )
