"""What an asset tells Dagster about the weeks it published: versions, counts, schemas and links, never user text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from grpo_pipeline.artifacts import Artifact, canonical_json
from grpo_pipeline.plots import as_markdown

DATA_VERSION_TAG = "dagster/data_version"
Materialization = dg.MaterializeResult[Any]


@dataclass(frozen=True)
class Published:
    """One week's published artifact and what the UI shows about it beside the manifest."""

    artifact: Artifact
    rows: int | None = None
    table: Path | None = None
    """The Parquet file whose columns are the asset's schema."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    data_version: str | None = None
    """Where it is not the artifact's own hash."""

    @property
    def version(self) -> str:
        """What decides whether later assets are out of date."""
        return self.data_version or self.artifact.hash


def report(context: dg.AssetExecutionContext, published: Iterable[Published]) -> Iterator[Materialization]:
    """Publish weeks one after the other and give each its own metadata and data version.

    A step over several weeks has one data version for all of them, so each week's event is repeated with its own.
    """
    done = []
    for item in published:
        metadata = describe(item)
        context.add_asset_metadata(metadata, partition_key=item.artifact.week)
        context.log.info("%s: %s", item.artifact.week, summary(item.artifact))
        done.append((item, metadata))
    versions = [item.version for item, _ in done]
    yield dg.MaterializeResult(data_version=dg.DataVersion(versions[0] if len(done) == 1 else canonical_json(versions)))
    if len(done) > 1:
        _repeat_with_own_versions(context, done)


def _repeat_with_own_versions(context: dg.AssetExecutionContext, done: list[tuple[Published, dict[str, Any]]]) -> None:
    record = dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[done[0][0].artifact.week])
    latest = context.instance.fetch_materializations(record, limit=1).records[0].asset_materialization
    tags = dict(latest.tags or {}) if latest else {}
    for item, metadata in done:
        context.log_event(
            dg.AssetMaterialization(
                asset_key=context.asset_key,
                partition=item.artifact.week,
                metadata=metadata,
                tags={**tags, DATA_VERSION_TAG: item.version},
            )
        )


def describe(item: Published) -> dict[str, Any]:
    """The metadata of one published week: its folder, hash, verdict and counts, and what the asset adds."""
    artifact, manifest = item.artifact, item.artifact.manifest
    shown: dict[str, Any] = {
        "folder": dg.MetadataValue.path(artifact.path),
        "dagster/uri": artifact.path.as_uri(),
        "hash": artifact.hash,
        **{name: count for name, count in manifest.get("counts", {}).items() if isinstance(count, int | float)},
        **item.metadata,
    }
    if "verdict" in manifest:
        shown = {"verdict": manifest["verdict"]["status"], "reason": manifest["verdict"]["reason"], **shown}
    if item.rows is not None:
        shown["dagster/partition_row_count"] = item.rows
    if item.table is not None:
        shown["dagster/column_schema"] = column_schema(item.table)
    return shown


def summary(artifact: Artifact) -> str:
    """One line for the log: the verdict's reason, or the counts."""
    verdict = artifact.manifest.get("verdict")
    if verdict:
        return str(verdict["reason"])
    return ", ".join(f"{count} {name}" for name, count in artifact.manifest.get("counts", {}).items())


def column_schema(parquet: Path) -> dg.TableSchema:
    """Column names and types of a Parquet file, without a single value."""
    schema = pl.read_parquet_schema(parquet)
    return dg.TableSchema([dg.TableColumn(name, str(kind)) for name, kind in schema.items()])


def picture(png: bytes | None, title: str) -> dict[str, Any]:
    """A plot under its title; nothing where there was nothing to draw."""
    return {title: dg.MetadataValue.md(as_markdown(png, title))} if png else {}


def table_of(frame: pl.DataFrame) -> dg.TableMetadataValue:
    """A frame of numbers and names as a table in the UI; what is not finite is shown as missing."""
    finite = frame.with_columns(
        pl.when(column.is_finite()).then(column) for column in [pl.col(name) for name in _floats(frame)]
    )
    records = [dg.TableRecord(row) for row in finite.iter_rows(named=True)]
    columns = [dg.TableColumn(name, str(kind)) for name, kind in frame.schema.items()]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _floats(frame: pl.DataFrame) -> list[str]:
    return [name for name, kind in frame.schema.items() if kind.is_float()]
