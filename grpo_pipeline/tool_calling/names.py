"""The tool-calling track's artifacts by name, and the models in its policy."""

from __future__ import annotations

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.evaluation.answer_config import Respondent

SCENARIOS_ASSET, POLICY_ASSET, EVALUATION_ASSET = (
    "tool_call_scenarios",
    "tool_calling_policy",
    "tool_calling_evaluation",
)
# The store keeps versions by week; what has no week lies here.
UNDATED = "all"
BASE, WARM_START, GRPO = "base", "warm_start", "grpo"
ADAPTER, WARM_START_ADAPTER = "adapter", "warm_start_adapter"


def respondents(policy: Artifact) -> tuple[Respondent, ...]:
    """The base model, the policy after its warm start where it had one, and after GRPO."""
    base = policy.manifest["base_model"]["name"]
    phases = [(WARM_START, policy.path / WARM_START_ADAPTER), (GRPO, policy.path / ADAPTER)]
    trained = [Respondent(name=name, base_model=base, adapter=folder) for name, folder in phases if folder.exists()]
    return (Respondent(name=BASE, base_model=base), *trained)


def policy_respondents(artifacts: ArtifactStore) -> tuple[Respondent, ...] | None:
    """Those of the last tool-calling policy; None where there is none."""
    policy = artifacts.latest(POLICY_ASSET, UNDATED)
    return respondents(policy) if policy else None
