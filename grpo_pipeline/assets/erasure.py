"""What deleted feedback left behind in samples of old policies, and its removal."""

from __future__ import annotations

import polars as pl

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.working import remove_attempts_on
from grpo_pipeline.feedback.erasure import erase_rows
from grpo_pipeline.feedback.store import FeedbackStore


def erase_deleted_samples(store: FeedbackStore, artifacts: ArtifactStore) -> int:
    """Remove the samples of every deleted row, and of every pair mined from one; how many samples it were."""
    deleted = {tombstone.id for tombstone in store.tombstones()}
    if not deleted:
        return 0
    doomed = deleted | pairs_made_from(artifacts, deleted)
    remove_attempts_on(artifacts, doomed)
    receipts = erase_rows(artifacts, doomed)
    return sum(receipt.rows for receipt in receipts)


def pairs_made_from(artifacts: ArtifactStore, ids: set[str]) -> set[str]:
    """The pairs of the current datasets that any of these rows went into."""
    wanted = pl.Series(sorted(ids), dtype=pl.String)
    made_from_any = pl.col("source_ids").list.set_intersection(wanted.to_list()).list.len() > 0
    files = [
        dataset.path / name
        for dataset in artifacts.versions("preference_dataset")
        for name in ("train.parquet", "held_out.parquet")
    ]
    found = (pl.scan_parquet(path).filter(made_from_any).select("id").collect() for path in files)
    return {pair_id for frame in found for pair_id in frame["id"]}
