"""Promotion: which policy is in use after a week, and why."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.candidates import candidate_named
from grpo_pipeline.assets.evaluation import policy_evaluation
from grpo_pipeline.assets.inputs import hashes
from grpo_pipeline.assets.reporting import Materialization, Published, report
from grpo_pipeline.assets.weekly import model_asset
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.failures import fails_clearly
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.verdict import Status, Verdict

PROMOTER = "grpo-pipeline"


@model_asset(group_name="promotion", kinds={"postgres"}, deps=[policy_evaluation])
@fails_clearly
def champion(
    context: dg.AssetExecutionContext, artifact_store: ArtifactStoreResource, model_registry: ModelRegistryResource
) -> Iterator[Materialization]:
    """The policy in use after the week: the best candidate that passed its evaluation, else the one before.

    An older week never replaces the champion of a newer one.
    """
    artifacts, registry, week = artifact_store.open(), model_registry.open(), context.partition_key
    policy, evaluation = artifacts.require("grpo_policy", week), artifacts.require("policy_evaluation", week)
    promoted, verdict = decide(registry, policy, evaluation)
    model = registry.champion()
    manifest = {
        "inputs": hashes([policy, evaluation]),
        "champion": model.version if model else None,
        "adapter_location": model.adapter_location if model else None,
        "promoted": promoted,
        "verdict": verdict.as_manifest(),
    }
    with artifacts.draft("champion") as draft:
        artifact = artifacts.publish(draft, "champion", week, manifest)
    yield from report(context, [Published(artifact, metadata=shown(model, promoted))])


def decide(registry: ModelRegistry, policy: Artifact, evaluation: Artifact) -> tuple[bool, Verdict]:
    """Promote the week's candidate where the evidence is there and fits; whether it is in use now, and why."""
    incumbent = registry.champion()
    stated = evaluation.manifest["verdict"]
    if not policy.manifest["trained"]:
        return False, Verdict("skipped", f"{carried_forward(incumbent)} {stated['reason']}")
    candidate = candidate_named(policy, evaluation.manifest.get("candidate"))
    if candidate is None:
        trained = policy.manifest["version"]
        return False, Verdict("inconclusive", f"{carried_forward(incumbent)} {trained} was not evaluated yet.")
    version = candidate.version
    if incumbent and incumbent.version not in (version, evaluation.manifest["incumbent"]):
        other = evaluation.manifest["incumbent"] or "no champion"
        return False, Verdict(
            "inconclusive",
            f"{carried_forward(incumbent)} {version} was compared with {other} instead: run policy_evaluation of "
            "this week again.",
        )
    promotion = registry.promote(version, PROMOTER, stated["reason"])
    if promotion.outcome == "refused":
        status: Status = "fail" if stated["status"] == "fail" else "inconclusive"
        return False, Verdict(status, f"{carried_forward(incumbent)} {promotion.reason}")
    return True, Verdict("pass", f"{version} is the champion: {stated['reason']}")


def carried_forward(incumbent: ModelVersion | None) -> str:
    """The sentence about who stays in use."""
    return f"{incumbent.version} stays champion." if incumbent else "There is no champion yet."


def shown(model: ModelVersion | None, promoted: bool) -> dict[str, Any]:
    """What the UI shows of the champion."""
    if model is None:
        return {"champion": "none yet", "promoted": promoted}
    return {"champion": model.version, "champion week": model.week.key, "promoted": promoted}
