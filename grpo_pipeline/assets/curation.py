"""Curation: what is good enough to learn from, and what was set aside with the reason."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.assets.feedback import agent_feedback, preference_pairs
from grpo_pipeline.assets.inputs import hashes
from grpo_pipeline.assets.reporting import Materialization, Published, picture, report, table_of
from grpo_pipeline.assets.weekly import data_asset
from grpo_pipeline.config import load_settings
from grpo_pipeline.curation.curate import Curated, curate
from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.partitions import weeks_of
from grpo_pipeline.plots import quarantine_counts
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.run_config import launchpad_config, overridden
from grpo_pipeline.weeks import Week

PAIRS, QUARANTINE, VOTES, SIGNATURES = (
    "pairs.parquet",
    "quarantine.parquet",
    "votes.parquet",
    "signatures.parquet",
)


class CurationConfig(launchpad_config(CurationSettings)):  # type: ignore[misc]
    """Curation settings of this run; an empty field means the project's own."""


@data_asset(group_name="dataset", kinds={"polars", "parquet"}, deps=[agent_feedback, preference_pairs])
@fails_clearly
def curated_pairs(
    context: dg.AssetExecutionContext, config: CurationConfig, artifact_store: ArtifactStoreResource
) -> Iterator[Materialization]:
    """One week's pairs and votes that are good enough to learn from, cleaned and redacted.

    What did not pass is named in the quarantine by id, with the rule it failed.
    """
    settings, artifacts = overridden(load_settings().curation, config), artifact_store.open()
    yield from report(context, (curate_week(artifacts, week, settings) for week in weeks_of(context)))


def curate_week(artifacts: ArtifactStore, week: Week, settings: CurationSettings) -> Published:
    """Curate one week against the earlier weeks there are, and publish it.

    Raises:
        PipelineError: the week was not extracted.
    """
    pairs, feedback = (artifacts.require(name, week.key) for name in ("preference_pairs", "agent_feedback"))
    earlier = earlier_weeks(artifacts, week)
    curated = curate(
        pl.read_parquet(pairs.path / "pairs.parquet"),
        pl.read_parquet(feedback.path / "feedback.parquet"),
        pl.concat([pl.read_parquet(item.path / SIGNATURES) for item in earlier]) if earlier else pl.DataFrame(),
        settings,
    )
    with artifacts.draft("curated_pairs") as draft:
        write_curated(curated, draft)
        manifest = {
            "inputs": hashes([pairs, feedback, *earlier]),
            "settings": settings.model_dump(mode="json"),
            "counts": {
                "pairs": len(curated.pairs),
                "votes": len(curated.votes),
                "quarantined": len(curated.quarantine),
                **curated.counts,
            },
        }
        artifact = artifacts.publish(draft, "curated_pairs", week.key, manifest)
    rules = curated.quarantine.group_by("table", "rule").len("rows").sort("table", "rule")
    by_rule = {f"{table}: {rule}": rows for table, rule, rows in rules.iter_rows()}
    shown = {**picture(quarantine_counts(by_rule), "kept out by rule"), "quarantine": table_of(rules)}
    return Published(artifact, len(curated.pairs), artifact.path / PAIRS, shown)


def earlier_weeks(artifacts: ArtifactStore, week: Week) -> list[Artifact]:
    """The curated weeks before a week, earliest first."""
    keys = [key for key in artifacts.weeks("curated_pairs") if key < week.key]
    return [artifacts.require("curated_pairs", key) for key in keys]


def write_curated(curated: Curated, directory: Path) -> None:
    """Write the four tables of a curated week."""
    curated.pairs.write_parquet(directory / PAIRS)
    curated.quarantine.write_parquet(directory / QUARANTINE)
    curated.votes.write_parquet(directory / VOTES)
    curated.signatures.write_parquet(directory / SIGNATURES)
