"""The tool-calling track's artifacts by name, and the models in its policy."""

from __future__ import annotations

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.evaluation.answer_config import Respondent
from grpo_pipeline.training.methods.catalog import MethodName

SCENARIOS_ASSET, POLICY_ASSET, EVALUATION_ASSET = (
    "tool_call_scenarios",
    "tool_calling_policy",
    "tool_calling_evaluation",
)
# The store keeps versions by week; what has no week lies here.
UNDATED = "all"
BASE, WARM_START, GRPO = "base", "warm_start", "grpo"
# What each method of the track is called in its results: the warm start alone, and GRPO after it.
PHASES: dict[MethodName, str] = {"sft": WARM_START, "grpo_after_warm_start": GRPO}
ADAPTER = "adapter"


def respondents(policy: Artifact) -> tuple[Respondent, ...]:
    """The base model, the policy after its warm start, and after GRPO, as far as they were trained."""
    base = policy.manifest["base_model"]["name"]
    folders = {facts["method"]: policy.path / facts["folder"] / ADAPTER for facts in policy.manifest["candidates"]}
    trained = [
        Respondent(name=name, base_model=base, adapter=folders[method])
        for method, name in PHASES.items()
        if method in folders
    ]
    return (Respondent(name=BASE, base_model=base), *trained)


def policy_respondents(artifacts: ArtifactStore) -> tuple[Respondent, ...] | None:
    """Those of the last tool-calling policy; None where there is none."""
    policy = artifacts.latest(POLICY_ASSET, UNDATED)
    return respondents(policy) if policy else None
