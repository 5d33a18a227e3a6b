"""The preference dataset: everything there is to learn from up to a week, split so that nothing leaks."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.assets.curation import PAIRS, VOTES, curated_pairs, earlier_weeks
from grpo_pipeline.assets.inputs import hashes
from grpo_pipeline.assets.reporting import Materialization, Published, report, table_of
from grpo_pipeline.assets.trained_pairs import known_pairs
from grpo_pipeline.assets.weekly import data_asset
from grpo_pipeline.config import load_settings
from grpo_pipeline.dataset.build import build_dataset
from grpo_pipeline.dataset.manifest import manifest_fields
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.dataset.verdict import dataset_verdict
from grpo_pipeline.dataset.write import write_dataset
from grpo_pipeline.feedback.fingerprints import fingerprint_rows
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.partitions import weeks_of
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.run_config import launchpad_config, overridden
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week, weeks_between


class DatasetConfig(launchpad_config(DatasetSettings)):  # type: ignore[misc]
    """Dataset settings of this run; an empty field means the project's own."""


@data_asset(group_name="dataset", kinds={"polars", "parquet", "huggingface"}, deps=[curated_pairs])
@fails_clearly
def preference_dataset(
    context: dg.AssetExecutionContext,
    config: DatasetConfig,
    feedback_store: FeedbackStoreResource,
    artifact_store: ArtifactStoreResource,
    model_registry: ModelRegistryResource,
) -> Iterator[Materialization]:
    """Every pair up to the week in training and held-out parts that share no person and no prompt.

    A folder that `datasets.load_dataset` opens, in TRL's conversational preference format.
    """
    settings, artifacts, weeks = overridden(load_settings().dataset, config), artifact_store.open(), weeks_of(context)
    registry, filled = model_registry.open(), weeks_with_pairs(feedback_store.open(), weeks, settings)
    yield from report(context, (build_week(artifacts, registry, week, filled, settings) for week in weeks))


def build_week(
    artifacts: ArtifactStore, registry: ModelRegistry, week: Week, filled: set[str], settings: DatasetSettings
) -> Published:
    """Build one week's dataset from the curated weeks there are, and publish it.

    Args:
        filled: the weeks of which the database holds pairs, by which a week that should have been curated is known.

    Raises:
        PipelineError: the week was not curated.
    """
    curated = [*earlier_weeks(artifacts, week), artifacts.require("curated_pairs", week.key)]
    dataset = build_dataset(_stacked(curated, PAIRS), _stacked(curated, VOTES), week, settings)
    known = known_pairs(artifacts, registry, week)
    leak = leaked(dataset.train, dataset.held_out, settings.hold_out_by)
    verdict = Verdict("fail", leak) if leak else dataset_verdict(dataset, known.ids, known.week)
    with artifacts.draft("preference_dataset") as draft:
        write_dataset(dataset, draft)
        manifest = manifest_fields(dataset, verdict, hashes(curated), missing_weeks(curated, week, filled, settings))
        # Asked for again when the week is trained: by then another week may have been.
        manifest["verdict"]["min_new_pairs"] = settings.min_new_pairs
        artifact = artifacts.publish(draft, "preference_dataset", week.key, manifest)
    weeks = pl.DataFrame([{"week": key, **counts} for key, counts in manifest["weeks"].items()])
    shown = {"by week": table_of(weeks)} if len(weeks) else {}
    return Published(artifact, len(dataset.train), artifact.path / "train.parquet", shown)


def leaked(train: pl.DataFrame, held_out: pl.DataFrame, hold_out_by: str) -> str | None:
    """What training and held-out pairs share though they must not, in words; None where nothing."""
    people = [{*side["contributor"], *side["co_contributor"].drop_nulls()} for side in (train, held_out)]
    shared = {
        "pairs": len({*train["id"]} & {*held_out["id"]}),
        "prompts": len({*train["prompt"].hash()} & {*held_out["prompt"].hash()}),
        "people": len(people[0] & people[1]) if hold_out_by == "contributor" else 0,
    }
    found = [f"{count} {name}" for name, count in shared.items() if count]
    return f"Both in training and held out: {', '.join(found)}." if found else None


def weeks_with_pairs(store: FeedbackStore, weeks: list[Week], settings: DatasetSettings) -> set[str]:
    """The weeks, within reach of any of the given ones, of which the database holds pairs."""
    found = store.fingerprints(look_back_start(weeks[0], settings), weeks[-1])["preference_pairs"]
    return {key for key, fingerprint in found.items() if fingerprint_rows(fingerprint)}


def look_back_start(week: Week, settings: DatasetSettings) -> Week:
    """The first week that a week's dataset reaches back to."""
    return max(week.shift(1 - settings.lookback_weeks), Week(load_settings().first_week))


def missing_weeks(curated: list[Artifact], week: Week, filled: set[str], settings: DatasetSettings) -> list[str]:
    """The weeks of the look-back that have pairs in the database, but were never curated."""
    there = {item.week for item in curated}
    within = weeks_between(look_back_start(week, settings), week)
    return [item.key for item in within if item.key in filled - there]


def _stacked(curated: list[Artifact], file: str) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(item.path / file).with_columns(week=pl.lit(item.week)) for item in curated])
