"""The week's reward model: what users prefer, learned from their pairs, and whether it is good enough to train on."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.assets.dataset import preference_dataset
from grpo_pipeline.assets.inputs import hashes
from grpo_pipeline.assets.reporting import Materialization, Published, report
from grpo_pipeline.assets.reward_model_views import reward_model_views
from grpo_pipeline.assets.trained_pairs import training_decision
from grpo_pipeline.assets.weekly import GPU_POOL, model_asset
from grpo_pipeline.assets.working import OUTPUT, remove_finished, work_key, working_folder
from grpo_pipeline.config import load_settings
from grpo_pipeline.gates.reward_model import not_used
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.resources.trainer import Trainer
from grpo_pipeline.reward_modelling.settings import RewardModelSettings
from grpo_pipeline.run_config import launchpad_config, overridden
from grpo_pipeline.training.profiles import detect_hardware, resolve
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week

DESCRIPTION = "reward_model.json"


class RewardModelConfig(launchpad_config(RewardModelSettings)):  # type: ignore[misc]
    """Reward-model settings of this run; an empty field means the project's own."""


@model_asset(
    group_name="training",
    kinds={"pytorch", "huggingface"},
    pool=GPU_POOL,
    deps=[preference_dataset],
)
@fails_clearly
def reward_model(
    context: dg.AssetExecutionContext,
    config: RewardModelConfig,
    artifact_store: ArtifactStoreResource,
    model_registry: ModelRegistryResource,
    trainer: Trainer,
) -> Iterator[Materialization]:
    """What the week's users prefer, learned from their pairs: one of GRPO's rewards where it proves itself.

    It must rank held-out pairs better than chance and than any simple rule, and must not go by length; a week without
    a usable reward model is trained on the plain rewards alone.
    """
    settings = overridden(load_settings().reward_model, config)
    artifacts, week = artifact_store.open(), Week(context.partition_key)
    dataset = artifacts.require("preference_dataset", week.key)
    decision = training_decision(dataset, artifacts, model_registry.open(), model_registry.sign_offs(), week)
    reason = no_need(dataset, decision)
    if reason:
        made = publish_skipped(artifacts, dataset, reason)
    else:
        made = make_once(context, artifacts, trainer, dataset, settings)
    yield from report(context, [Published(made, metadata=reward_model_views(made))])


def no_need(dataset: Artifact, decision: Verdict) -> str | None:
    """Why a week needs no reward model, None where it does."""
    if not decision.passed:
        return decision.reason
    if "reward_model" not in resolve(load_settings().training, detect_hardware()).model_reward_weights:
        return "its weight in GRPO_TRAINING__REWARD_WEIGHTS is 0."
    return None


def publish_skipped(artifacts: ArtifactStore, dataset: Artifact, reason: str) -> Artifact:
    """The reward model of a week that needs none: nothing but a manifest with the reason."""
    manifest = {
        "used": False,
        "inputs": hashes([dataset]),
        "verdict": Verdict("skipped", not_used(reason)).as_manifest(),
    }
    with artifacts.draft("reward_model") as draft:
        return artifacts.publish(draft, "reward_model", dataset.week, manifest)


def make_once(
    context: dg.AssetExecutionContext,
    artifacts: ArtifactStore,
    trainer: Trainer,
    dataset: Artifact,
    settings: RewardModelSettings,
) -> Artifact:
    """The week's reward model: the one there is where the same is asked for, or a new one."""
    training = load_settings().training
    resolved = resolve(training, detect_hardware()).model_dump(exclude={"reward_weights", "model_reward_weights"})
    key = work_key(dataset.manifest["dataset_hash"], resolved, settings.model_dump(mode="json"))
    before = artifacts.latest("reward_model", dataset.week)
    if before and before.manifest.get("reward_model_key") == key:
        context.log.info("Made already: the same data in the same way.")
        return before
    folder = working_folder(artifacts, "reward_model", dataset.week, key)
    output = folder / OUTPUT
    run = {"dataset_dir": dataset.path, "output_dir": output, "home": load_settings().home}
    stated = {"training": training.model_dump(mode="json"), "settings": settings.model_dump(mode="json")}
    trainer.run(context, "grpo_pipeline.training.reward_model", {**run, **stated}, folder, alone=True)
    result: dict[str, Any] = json.loads((output / DESCRIPTION).read_text(encoding="utf-8"))
    manifest = {
        **result,
        "used": result["verdict"]["status"] == "pass",
        "reward_model_key": key,
        "inputs": hashes([dataset]),
        "settings": settings.model_dump(mode="json"),
    }
    # How long it took differs from run to run, what was made does not.
    digest = work_key(key, result["model_sha256"])
    made = artifacts.publish(output, "reward_model", dataset.week, manifest, hash=digest)
    remove_finished(folder)
    return made


def usable_reward_model(artifacts: ArtifactStore, week: str, weights: Mapping[str, float]) -> Artifact | None:
    """The week's reward model where it passed its gate and has a weight.

    Raises:
        PipelineError: none was made yet, nor decided that there is to be none.
    """
    made = artifacts.require("reward_model", week)
    return made if made.manifest["used"] and "reward_model" in weights else None


def stated_reward_model(artifacts: ArtifactStore, week: str, learned: Artifact | None) -> dict[str, Any]:
    """What a policy's manifest says of its reward model: whether it was used, which one, and why (not)."""
    made = artifacts.require("reward_model", week).manifest
    reason = made["verdict"]["reason"] if learned or not made["used"] else not_used("its weight is 0.")
    return {"used": learned is not None, "hash": learned.hash if learned else None, "reason": reason}
