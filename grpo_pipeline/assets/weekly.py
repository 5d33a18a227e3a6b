"""The two kinds of weekly assets: data, of which a backfill makes many weeks in one run, and models, one week a run."""

from __future__ import annotations

from functools import partial

import dagster as dg

from grpo_pipeline.partitions import WEEKLY

OWNERS = ["team:ml"]

data_asset = partial(
    dg.asset,
    partitions_def=WEEKLY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    owners=OWNERS,
    code_version="1",
)
model_asset = partial(
    dg.asset,
    partitions_def=WEEKLY,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    owners=OWNERS,
    code_version="1",
)
