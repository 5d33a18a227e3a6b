"""Evaluation: the candidates against the incumbent and the base model on pairs that nobody trained on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from grpo_pipeline.artifacts import Artifact, ArtifactStore, file_digest
from grpo_pipeline.assets.candidates import candidates_of
from grpo_pipeline.assets.dataset import preference_dataset
from grpo_pipeline.assets.evaluation_views import evaluation_views
from grpo_pipeline.assets.inputs import hashes
from grpo_pipeline.assets.reporting import Materialization, Published, report
from grpo_pipeline.assets.training import grpo_policy
from grpo_pipeline.assets.weekly import GPU_POOL, model_asset
from grpo_pipeline.assets.working import OUTPUT, remove_finished, work_key, working_folder
from grpo_pipeline.config import load_settings
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.resources.trainer import Trainer
from grpo_pipeline.run_config import launchpad_config, overridden
from grpo_pipeline.training.methods.catalog import LEADS
from grpo_pipeline.verdict import Verdict

EVALUATION = "evaluation.json"


class EvaluationConfig(launchpad_config(EvaluationSettings)):  # type: ignore[misc]
    """Evaluation settings of this run; an empty field means the project's own."""


@dataclass(frozen=True)
class Contest:
    """Who is compared on what."""

    policy: Artifact
    dataset: Artifact
    incumbent: ModelVersion | None
    settings: EvaluationSettings

    @property
    def key(self) -> str:
        """Equal where the same comparison is asked for."""
        return work_key(
            [candidate.version for candidate in candidates_of(self.policy)],
            file_digest(self.held_out),
            self.incumbent.version if self.incumbent else None,
            self.settings.model_dump(mode="json"),
        )

    @property
    def held_out(self) -> Path:
        """The pairs that nobody trained on."""
        return self.dataset.path / "held_out.parquet"


@model_asset(
    group_name="evaluation",
    kinds={"pytorch", "huggingface"},
    pool=GPU_POOL,
    deps=[grpo_policy, preference_dataset],
)
@fails_clearly
def policy_evaluation(
    context: dg.AssetExecutionContext,
    config: EvaluationConfig,
    artifact_store: ArtifactStoreResource,
    model_registry: ModelRegistryResource,
    trainer: Trainer,
) -> Iterator[Materialization]:
    """How the week's candidates do against the incumbent and the base model on the held-out pairs, and the verdict.

    `pass` where the best one is credibly better and nothing got worse, `fail` or `inconclusive` else, with the reason.
    """
    settings = overridden(load_settings().evaluation, config)
    artifacts, registry, week = artifact_store.open(), model_registry.open(), context.partition_key
    policy = artifacts.require("grpo_policy", week)
    if not policy.manifest["trained"]:
        evaluation = publish_skipped(artifacts, policy)
    else:
        dataset = artifacts.require("preference_dataset", week)
        contest = Contest(policy, dataset, incumbent_of(registry, artifacts, policy), settings)
        evaluation = evaluate_once(context, artifacts, trainer, contest)
        record(registry, evaluation)
    yield from report(context, [Published(evaluation, metadata=evaluation_views(evaluation))])


def publish_skipped(artifacts: ArtifactStore, policy: Artifact) -> Artifact:
    """The evaluation of a week that trained nothing."""
    reason = f"Nothing to evaluate: {policy.manifest['verdict']['reason']}"
    manifest = {"inputs": hashes([policy]), "verdict": Verdict("skipped", reason).as_manifest()}
    with artifacts.draft("policy_evaluation") as draft:
        return artifacts.publish(draft, "policy_evaluation", policy.week, manifest)


def incumbent_of(registry: ModelRegistry, artifacts: ArtifactStore, policy: Artifact) -> ModelVersion | None:
    """The champion; where that is a candidate of the week itself, whoever it was compared with before it won."""
    champion = registry.champion()
    if champion is None or champion.version not in [candidate.version for candidate in candidates_of(policy)]:
        return champion
    before = artifacts.latest("policy_evaluation", policy.week)
    name = before.manifest.get("incumbent") if before else None
    return registry.get(name) if name else None


def evaluate_once(
    context: dg.AssetExecutionContext, artifacts: ArtifactStore, trainer: Trainer, contest: Contest
) -> Artifact:
    """The comparison's result: the one there is, or a new one."""
    before = artifacts.latest("policy_evaluation", contest.policy.week)
    if before and before.manifest.get("evaluation_key") == contest.key:
        context.log.info("Evaluated already: the same models on the same pairs.")
        return before
    week = contest.policy.week
    folder = working_folder(artifacts, "policy_evaluation", week, contest.key)
    output = folder / OUTPUT
    look = next_look(artifacts, contest.incumbent)
    trainer.run(context, "grpo_pipeline.evaluation", evaluation_run(contest, output, look), folder)
    result = json.loads((output / EVALUATION).read_text(encoding="utf-8"))
    versions = {candidate.method: candidate.version for candidate in candidates_of(contest.policy)}
    manifest = {
        "inputs": hashes([contest.policy, contest.dataset]),
        "evaluation_key": contest.key,
        "candidate": versions[result["method"]],
        "candidates": {
            versions[method]: {"method": method, "verdict": verdict} for method, verdict in result["candidates"].items()
        },
        "incumbent": contest.incumbent.version if contest.incumbent else None,
        "look": look,
        "settings": contest.settings.model_dump(mode="json"),
        "counts": {"held_out_pairs": result["pairs"], "contributors": result["contributors"]},
        "verdict": result["verdict"],
    }
    evaluation = artifacts.publish(output, "policy_evaluation", week, manifest)
    remove_finished(folder)
    return evaluation


def next_look(artifacts: ArtifactStore, incumbent: ModelVersion | None) -> int:
    """How many times candidates will have been held against this incumbent, an evaluation that is made again included.

    The number is kept in the manifests: it grows even where an evaluation replaces another one of its week.
    """
    name = incumbent.version if incumbent else None
    made = (artifact.manifest for artifact in artifacts.versions("policy_evaluation"))
    return 1 + max((one["look"] for one in made if "look" in one and one["incumbent"] == name), default=0)


def evaluation_run(contest: Contest, output: Path, look: int) -> dict[str, Any]:
    """The config file of the evaluation process."""
    incumbent = contest.incumbent
    first, *others = sorted(candidates_of(contest.policy), key=lambda candidate: LEADS.index(candidate.method))
    return {
        "held_out": contest.held_out,
        "output_dir": output,
        "home": load_settings().home,
        "base_model": contest.policy.manifest["base_model"]["name"],
        "candidate_adapter": first.adapter,
        "candidate_method": first.method,
        "challengers": {candidate.method: str(candidate.adapter) for candidate in others},
        "incumbent_adapter": incumbent.adapter_location if incumbent else None,
        "incumbent_base_model": incumbent.base_model if incumbent else None,
        "look": look,
        "settings": contest.settings.model_dump(mode="json"),
    }


def record(registry: ModelRegistry, evaluation: Artifact) -> None:
    """Enter every candidate's verdict into the registry; one that failed is rejected."""
    for version, judged in evaluation.manifest["candidates"].items():
        model, verdict = registry.get(version), Verdict(**judged["verdict"])
        rejected = verdict.status == "fail"
        registry.register(
            replace(
                model,
                verdict=verdict,
                metrics={**model.metrics, "evaluation": evaluation.manifest["counts"]},
                status="rejected" if rejected else "candidate",
                status_reason=verdict.reason if rejected else None,
            )
        )
