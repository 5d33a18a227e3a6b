"""Training: candidate policies, or the reason why the week trains none."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from grpo_pipeline.artifacts import MANIFEST, Artifact, ArtifactStore
from grpo_pipeline.assets.candidates import candidates_of, version_name
from grpo_pipeline.assets.dataset import preference_dataset
from grpo_pipeline.assets.inputs import hashes
from grpo_pipeline.assets.preflight_views import preflight_views
from grpo_pipeline.assets.reporting import Materialization, Published, report
from grpo_pipeline.assets.reward_model import reward_model, stated_reward_model, usable_reward_model
from grpo_pipeline.assets.trained_pairs import training_decision
from grpo_pipeline.assets.training_views import training_views
from grpo_pipeline.assets.weekly import GPU_POOL, model_asset
from grpo_pipeline.assets.working import OUTPUT, remove_finished, work_key, working_folder
from grpo_pipeline.config import load_settings
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.resources.trainer import Trainer
from grpo_pipeline.run_config import launchpad_config, overridden
from grpo_pipeline.training.judge.settings import load_judge_settings
from grpo_pipeline.training.profiles import detect_hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.stopping import NOTHING_TO_LEARN, read_stopped
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week


class TrainingConfig(launchpad_config(TrainingSettings)):  # type: ignore[misc]
    """Training settings of this run; an empty field means the project's own."""


@model_asset(
    group_name="training",
    kinds={"pytorch", "huggingface"},
    pool=GPU_POOL,
    deps=[preference_dataset, reward_model],
)
@fails_clearly
def grpo_policy(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    artifact_store: ArtifactStoreResource,
    model_registry: ModelRegistryResource,
    trainer: Trainer,
) -> Iterator[Materialization]:
    """The week's candidates: a LoRA adapter from each method on the week's dataset, or the reason why there is none.

    A week with too few new pairs is materialized with `trained: false`; the same data is never trained twice.
    """
    settings = overridden(load_settings().training, config)
    artifacts, registry, week = artifact_store.open(), model_registry.open(), Week(context.partition_key)
    dataset = artifacts.require("preference_dataset", week.key)
    decision = training_decision(dataset, artifacts, registry, model_registry.sign_offs(), week)
    if decision.passed:
        champion = starting_champion(registry, week, settings)
        policy = train_once(context, artifacts, trainer, dataset, settings, decision, champion)
        register(registry, policy)
    else:
        policy = publish_untrained(artifacts, dataset, decision)
    spent = preflight_views(policy, load_settings().home, settings.price_per_hour)
    yield from report(context, [Published(policy, metadata={**training_views(policy), **spent})])


def starting_champion(registry: ModelRegistry, week: Week, settings: TrainingSettings) -> ModelVersion | None:
    """The champion that a method goes on from: of an earlier week, so that a rerun of this one finds the same."""
    resolved = resolve(settings, detect_hardware())
    if "from_champion" not in resolved.methods:
        return None
    champion = registry.champion_before(week)
    fits = champion is not None and champion.adapter_location and champion.base_model == resolved.base_model
    return champion if fits else None


def publish_untrained(
    artifacts: ArtifactStore, dataset: Artifact, decision: Verdict, preflight: Mapping[str, Any] | None = None
) -> Artifact:
    """A week without a policy of its own: nothing but a manifest with the reason."""
    manifest = {"trained": False, "inputs": hashes([dataset]), "verdict": decision.as_manifest()}
    if preflight:
        manifest["preflight"] = preflight
    with artifacts.draft("grpo_policy") as draft:
        return artifacts.publish(draft, "grpo_policy", dataset.week, manifest, keep_older=True)


def train_once(
    context: dg.AssetExecutionContext,
    artifacts: ArtifactStore,
    trainer: Trainer,
    dataset: Artifact,
    settings: TrainingSettings,
    decision: Verdict,
    champion: ModelVersion | None,
) -> Artifact:
    """The week's policies: those that were trained on the same data in the same way before, or new ones.

    Where the pre-flight or a cap stopped training there are none; at a cap, what was done is kept to go on from.
    """
    resolved = resolve(settings, detect_hardware()).model_dump()
    learned = usable_reward_model(artifacts, dataset.week, resolved["model_reward_weights"])
    start = [champion.version] if champion else []
    models = [learned.hash if learned else None, load_judge_settings().identity]
    key = work_key(dataset.manifest["dataset_hash"], resolved, trainer.processes, *models, *start)
    stated = {
        "trained": True,
        "training_key": key,
        "inputs": hashes([dataset]),
        "verdict": decision.as_manifest(),
        "reward_model": stated_reward_model(artifacts, dataset.week, learned),
    }
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
    run = {
        "dataset_dir": dataset.path,
        "output_dir": output,
        "home": load_settings().home,
        "champion_adapter": champion.adapter_location if champion else None,
        "reward_model_dir": learned.path if learned else None,
    }
    trainer.run(context, "grpo_pipeline.training", {**run, "settings": settings.model_dump(mode="json")}, folder)
    stopped = read_stopped(output)
    if stopped:
        if stopped["outcome"] == NOTHING_TO_LEARN:
            remove_finished(folder)
        return publish_untrained(artifacts, dataset, Verdict("skipped", stopped["reason"]), stopped["preflight"])
    made = json.loads((output / MANIFEST).read_text(encoding="utf-8"))
    manifest = {**made, **stated, "version": version_name(dataset.week, made["adapter_sha256"])}
    digest = policies_hash(made)
    policy = artifacts.publish(output, "grpo_policy", dataset.week, manifest, hash=digest, keep_older=True)
    remove_finished(folder)
    return policy


def policies_hash(made: Mapping[str, Any]) -> str:
    """The hash of a week's policies: that of the adapter, or of all adapters where there are several."""
    digests = [candidate["adapter_sha256"] for candidate in made["candidates"]]
    return digests[0][:16] if len(digests) == 1 else work_key(*digests)


def register(registry: ModelRegistry, policy: Artifact) -> None:
    """Enter a week's policies into the model registry as candidates; one that is known already stays what it is."""
    manifest, known = policy.manifest, {model.version for model in registry.list()}
    for candidate in candidates_of(policy):
        if candidate.version in known:
            continue
        registry.register(
            ModelVersion(
                version=candidate.version,
                week=Week(policy.week),
                base_model=manifest["base_model"]["name"],
                adapter_location=str(candidate.adapter),
                dataset_hash=manifest["dataset"]["train_sha256"],
                config_hash=manifest["config_hash"],
                metrics={"method": candidate.method, "rewards": candidate.facts["rewards"]},
            )
        )
