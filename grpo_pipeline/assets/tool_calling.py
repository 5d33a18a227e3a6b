"""The tool-calling track: scenarios whose right answers are known, a policy trained on them, and how right it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.assets.candidates import version_name
from grpo_pipeline.assets.inputs import hashes
from grpo_pipeline.assets.reporting import Materialization, Published, describe, summary
from grpo_pipeline.assets.tool_calling_views import evaluation_views
from grpo_pipeline.assets.training import TrainingConfig
from grpo_pipeline.assets.training_views import training_views
from grpo_pipeline.assets.weekly import GPU_POOL, OWNERS
from grpo_pipeline.assets.working import OUTPUT, remove_finished, work_key, working_folder
from grpo_pipeline.config import load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.trainer import Trainer
from grpo_pipeline.run_config import launchpad_config, overridden
from grpo_pipeline.tool_calling.dataset import TRAIN, build_scenarios, scenario_counts_by_category, write_scenarios
from grpo_pipeline.tool_calling.measure import evaluation_fields, write_questions
from grpo_pipeline.tool_calling.names import EVALUATION_ASSET, POLICY_ASSET, SCENARIOS_ASSET, UNDATED, respondents
from grpo_pipeline.tool_calling.profiles import resolve_track, scenario_counts, track_training
from grpo_pipeline.tool_calling.settings import ScenarioSettings
from grpo_pipeline.training.profiles import detect_hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.stopping import read_stopped

GROUP = "tool_calling"


class ScenarioConfig(launchpad_config(ScenarioSettings)):  # type: ignore[misc]
    """Scenario settings of this run; an empty field means the project's own."""


@dg.asset(group_name=GROUP, kinds={"polars", "parquet"}, owners=OWNERS, code_version="1")
@fails_clearly
def tool_call_scenarios(
    context: dg.AssetExecutionContext, config: ScenarioConfig, artifact_store: ArtifactStoreResource
) -> Iterator[Materialization]:
    """Synthetic requests with tools and the right calls, from a seed: to train on, and of other tasks to measure on."""
    chosen = overridden(load_settings().tool_calling.scenarios, config)
    resolved = resolve(own_training(), detect_hardware())
    train, held_out = scenario_counts(chosen, resolved)
    dataset = build_scenarios(train, held_out, chosen.seed)
    artifacts = artifact_store.open()
    with artifacts.draft(SCENARIOS_ASSET) as draft:
        write_scenarios(dataset, draft)
        manifest = {"seed": chosen.seed, "counts": scenario_counts_by_category(dataset)}
        artifact = artifacts.publish(draft, SCENARIOS_ASSET, UNDATED, manifest)
    metadata = {"dagster/row_count": len(dataset.train)}
    yield result(context, Published(artifact, table=artifact.path / TRAIN, metadata=metadata))


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "huggingface"},
    pool=GPU_POOL,
    owners=OWNERS,
    code_version="1",
    deps=[tool_call_scenarios],
)
@fails_clearly
def tool_calling_policy(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    artifact_store: ArtifactStoreResource,
    trainer: Trainer,
) -> Iterator[Materialization]:
    """A LoRA adapter trained on the scenarios: warm start on the right calls, then GRPO with a verifiable reward.

    The adapter as it is after the warm start alone lies beside it, to measure what GRPO adds.
    """
    settings = resolve_track(overridden(own_training(), config), detect_hardware())
    artifacts = artifact_store.open()
    policy = train_once(context, artifacts, trainer, artifacts.require(SCENARIOS_ASSET, UNDATED), settings)
    yield result(context, Published(policy, metadata=training_views(policy)))


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "huggingface"},
    pool=GPU_POOL,
    owners=OWNERS,
    code_version="1",
    deps=[tool_calling_policy, tool_call_scenarios],
)
@fails_clearly
def tool_calling_evaluation(
    context: dg.AssetExecutionContext, artifact_store: ArtifactStoreResource, trainer: Trainer
) -> Iterator[Materialization]:
    """How many held-out scenarios are answered rightly, by category: base model, after warm start, after GRPO.

    `pass` where GRPO is credibly better than its own warm start, `fail` where it is credibly worse.
    """
    artifacts = artifact_store.open()
    scenarios, policy = artifacts.require(SCENARIOS_ASSET, UNDATED), artifacts.require(POLICY_ASSET, UNDATED)
    evaluation = evaluate_once(context, artifacts, trainer, scenarios, policy)
    yield result(context, Published(evaluation, metadata=evaluation_views(evaluation)))


def own_training() -> TrainingSettings:
    """The track's training settings, before its profile fills what is unset."""
    settings = load_settings()
    return track_training(settings.tool_calling, settings.training)


def result(context: dg.AssetExecutionContext, item: Published) -> Materialization:
    """What Dagster is told about an asset without weeks."""
    context.log.info("%s", summary(item.artifact))
    return dg.MaterializeResult(metadata=describe(item), data_version=dg.DataVersion(item.version))


def train_once(
    context: dg.AssetExecutionContext,
    artifacts: ArtifactStore,
    trainer: Trainer,
    scenarios: Artifact,
    settings: TrainingSettings,
) -> Artifact:
    """The policy of these scenarios and settings: the one in use, or a new one.

    Raises:
        PipelineError: the pre-flight or a cap stopped training; at a cap, what was done is kept to go on from.
    """
    key = work_key(scenarios.hash, resolve(settings, detect_hardware()).model_dump(), trainer.processes)
    before = artifacts.latest(POLICY_ASSET, UNDATED)
    if before and before.manifest["training_key"] == key:
        context.log.info("Trained already: the same scenarios in the same way.")
        return before
    folder = working_folder(artifacts, POLICY_ASSET, UNDATED, key)
    output = folder / OUTPUT
    run = {"dataset_dir": scenarios.path, "output_dir": output, "home": load_settings().home}
    trainer.run(context, "grpo_pipeline.training", {**run, "settings": settings.model_dump(mode="json")}, folder)
    stopped = read_stopped(output)
    if stopped:
        raise PipelineError(f"Nothing was trained on the scenarios: {stopped['reason']}")
    made = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    digest = made["adapter_sha256"]
    stated = {"trained": True, "version": version_name(UNDATED, digest), "training_key": key}
    manifest = {**made, **stated, "inputs": hashes([scenarios])}
    policy = artifacts.publish(output, POLICY_ASSET, UNDATED, manifest, hash=digest[:16])
    remove_finished(folder)
    return policy


def evaluate_once(
    context: dg.AssetExecutionContext,
    artifacts: ArtifactStore,
    trainer: Trainer,
    scenarios: Artifact,
    policy: Artifact,
) -> Artifact:
    """The evaluation of a policy on the held-out scenarios: the one there is, or a new one."""
    inputs = hashes([scenarios, policy])
    before = artifacts.latest(EVALUATION_ASSET, UNDATED)
    if before and before.manifest["inputs"] == inputs:
        context.log.info("Evaluated already: the same policy on the same scenarios.")
        return before
    folder = working_folder(artifacts, EVALUATION_ASSET, UNDATED, work_key(inputs))
    output = folder / OUTPUT
    trainer.run(context, "grpo_pipeline.evaluation.answer", answer_run(scenarios, policy, folder), folder, alone=True)
    fields = evaluation_fields(scenarios.path, respondents(policy), output)
    evaluation = artifacts.publish(output, EVALUATION_ASSET, UNDATED, {"inputs": inputs, **fields})
    remove_finished(folder)
    return evaluation


def answer_run(scenarios: Artifact, policy: Artifact, folder: Path) -> dict[str, Any]:
    """The config file of the process in which the models answer."""
    longest = policy.manifest["settings"]["max_completion_tokens"]
    return {
        "questions": write_questions(scenarios.path, folder, longest),
        "output_dir": folder / OUTPUT,
        "home": load_settings().home,
        "respondents": [item.model_dump(mode="json") for item in respondents(policy)],
    }
