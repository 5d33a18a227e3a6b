"""Training: a candidate policy, or the reason why the week trains none."""

import json
from collections.abc import Iterator

import dagster as dg
import polars as pl

from grpo_pipeline.artifacts import MANIFEST, Artifact, ArtifactStore
from grpo_pipeline.assets.dataset import preference_dataset
from grpo_pipeline.assets.inputs import hashes
from grpo_pipeline.assets.reporting import Materialization, Published, report
from grpo_pipeline.assets.trained_pairs import last_trained_pairs
from grpo_pipeline.assets.training_views import training_views
from grpo_pipeline.assets.weekly import model_asset
from grpo_pipeline.assets.working import OUTPUT, remove_finished, work_key, working_folder
from grpo_pipeline.config import load_settings
from grpo_pipeline.dataset.verdict import new_pairs_verdict
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.resources.trainer import Trainer
from grpo_pipeline.run_config import launchpad_config, overridden
from grpo_pipeline.training.profiles import detect_hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week

POOL = "gpu"


class TrainingConfig(launchpad_config(TrainingSettings)):  # type: ignore[misc]
    """Training settings of this run; an empty field means the project's own."""


@model_asset(
    group_name="training",
    kinds={"pytorch", "huggingface"},
    pool=POOL,
    deps=[preference_dataset],
)
@fails_clearly
def grpo_policy(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    artifact_store: ArtifactStoreResource,
    model_registry: ModelRegistryResource,
    trainer: Trainer,
) -> Iterator[Materialization]:
    """A candidate: a LoRA adapter that GRPO trained on the week's dataset, or the reason why there is none.

    A week with too few new pairs is materialized with `trained: false`; the same data is never trained twice.
    """
    settings = overridden(load_settings().training, config)
    artifacts, registry, week = artifact_store.open(), model_registry.open(), Week(context.partition_key)
    dataset = artifacts.require("preference_dataset", week.key)
    decision = training_decision(dataset, registry, week)
    if decision.passed:
        policy = train_once(context, artifacts, trainer, dataset, settings, decision)
        register(registry, policy)
    else:
        policy = publish_untrained(artifacts, dataset, decision)
    yield from report(context, [Published(policy, metadata=training_views(policy))])


def training_decision(dataset: Artifact, registry: ModelRegistry, week: Week) -> Verdict:
    """Whether the week trains, decided on what is trained by now: the dataset may be older than that."""
    stated = dataset.manifest["verdict"]
    if stated["status"] == "fail":
        return Verdict("fail", stated["reason"])
    trained = last_trained_pairs(registry, week)
    ids = pl.read_parquet(dataset.path / "train.parquet", columns=["id"])["id"].to_list()
    return new_pairs_verdict(ids, trained.ids, stated["min_new_pairs"], trained.week)


def publish_untrained(artifacts: ArtifactStore, dataset: Artifact, decision: Verdict) -> Artifact:
    """A week without a policy of its own: nothing but a manifest with the reason."""
    manifest = {"trained": False, "inputs": hashes([dataset]), "verdict": decision.as_manifest()}
    with artifacts.draft("grpo_policy") as draft:
        return artifacts.publish(draft, "grpo_policy", dataset.week, manifest, keep_older=True)


def train_once(
    context: dg.AssetExecutionContext,
    artifacts: ArtifactStore,
    trainer: Trainer,
    dataset: Artifact,
    settings: TrainingSettings,
    decision: Verdict,
) -> Artifact:
    """The week's policy: the one that was trained on the same data in the same way before, or a new one."""
    resolved = resolve(settings, detect_hardware()).model_dump()
    key = work_key(dataset.manifest["dataset_hash"], resolved, trainer.processes)
    stated = {"trained": True, "training_key": key, "inputs": hashes([dataset]), "verdict": decision.as_manifest()}
    for earlier in artifacts.versions("grpo_policy"):
        if earlier.week == dataset.week and earlier.manifest.get("training_key") == key:
            context.log.info("Trained already, as %s: the same data in the same way.", earlier.manifest["version"])
            with artifacts.draft("grpo_policy") as draft:
                manifest = {**earlier.manifest, **stated}
                return artifacts.publish(
                    draft, "grpo_policy", dataset.week, manifest, hash=earlier.hash, keep_older=True
                )
    folder = working_folder(artifacts, "grpo_policy", dataset.week, key)
    output = folder / OUTPUT
    run = {"dataset_dir": dataset.path, "output_dir": output, "home": load_settings().home}
    trainer.run(context, "grpo_pipeline.training", {**run, "settings": settings.model_dump(mode="json")}, folder)
    made = json.loads((output / MANIFEST).read_text(encoding="utf-8"))
    digest = made["adapter_sha256"][:16]
    manifest = {**made, **stated, "version": f"{dataset.week}-{digest[:8]}"}
    policy = artifacts.publish(output, "grpo_policy", dataset.week, manifest, hash=digest, keep_older=True)
    remove_finished(folder)
    return policy


def register(registry: ModelRegistry, policy: Artifact) -> None:
    """Enter a policy into the model registry as a candidate; one that is known already stays what it is."""
    manifest = policy.manifest
    if any(known.version == manifest["version"] for known in registry.list()):
        return
    registry.register(
        ModelVersion(
            version=manifest["version"],
            week=Week(policy.week),
            base_model=manifest["base_model"]["name"],
            adapter_location=str(policy.path / "adapter"),
            dataset_hash=manifest["dataset"]["train_sha256"],
            config_hash=manifest["config_hash"],
            metrics={"rewards": manifest["rewards"]},
        )
    )
