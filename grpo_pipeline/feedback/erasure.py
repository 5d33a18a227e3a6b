"""Removes deleted rows from what was kept of old policies and evaluations, and keeps a receipt of it.

Artifacts made from the database's rows are extracted and built again instead; these hold samples that cannot be.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from grpo_pipeline.artifacts import Artifact, ArtifactStore, write_atomically

SAMPLE_ASSETS = ("grpo_policy", "policy_evaluation", "reward_model")
RECEIPTS = "erasures.json"
ID_COLUMNS = ("pair_id", "id")


@dataclass(frozen=True)
class Erasure:
    """The receipt of rows that were removed from one file of one artifact."""

    asset: str
    week: str
    hash: str
    file: str
    ids: list[str]
    rows: int
    erased_at: str


def erase_rows(artifacts: ArtifactStore, ids: Collection[str], assets: Sequence[str] = SAMPLE_ASSETS) -> list[Erasure]:
    """Remove every row of these ids from the Parquet files of all versions of the assets, and say what was removed.

    A file is replaced whole; files without an id column, and lists of nothing but ids, stay as they are. Doing it
    again removes nothing and adds no receipt.

    Raises:
        OSError: the store cannot be written; files done by then have their receipts.
    """
    if not ids:
        return []
    wanted = pl.Series("id", sorted(ids), dtype=pl.String)
    return [
        receipt
        for asset in assets
        for artifact in artifacts.versions(asset)
        for path in sorted(artifact.path.rglob("*.parquet"))
        if (receipt := _erase_from(artifact, path, wanted)) is not None
    ]


def _erase_from(artifact: Artifact, path: Path, wanted: pl.Series) -> Erasure | None:
    columns = pl.read_parquet_schema(path)
    column = next((name for name in ID_COLUMNS if name in columns), None)
    if column is None or set(columns) <= set(ID_COLUMNS):
        return None
    doomed = pl.col(column).is_in(wanted.implode())
    found = pl.scan_parquet(path).filter(doomed).select(column).collect().to_series()
    if found.is_empty():
        return None
    _replace(path, pl.read_parquet(path).filter(doomed.not_() | pl.col(column).is_null()))
    receipt = Erasure(
        asset=artifact.asset,
        week=artifact.week,
        hash=artifact.hash,
        file=path.relative_to(artifact.path).as_posix(),
        ids=found.unique().sort().to_list(),
        rows=found.len(),
        erased_at=datetime.now(UTC).isoformat(),
    )
    _add_receipt(artifact.path / RECEIPTS, receipt)
    return receipt


def _replace(path: Path, rows: pl.DataFrame) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".erasing-", delete=False) as handle:
        written = Path(handle.name)
    try:
        rows.write_parquet(written)
        with written.open("rb+") as handle:
            os.fsync(handle.fileno())
        written.chmod(0o644)
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def _add_receipt(path: Path, receipt: Erasure) -> None:
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    write_atomically(path, json.dumps([*earlier, asdict(receipt)], indent=2))
