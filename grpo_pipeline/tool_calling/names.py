"""The tool-calling track's artifacts by name, and the models in its policy."""

from __future__ import annotations

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.evaluation.answer_config import Respondent
from grpo_pipeline.training.methods.catalog import CHALLENGERS, MethodName

SCENARIOS_ASSET, POLICY_ASSET, EVALUATION_ASSET = (
    "tool_call_scenarios",
    "tool_calling_policy",
    "tool_calling_evaluation",
)
# The store keeps versions by week; what has no week lies here.
UNDATED = "all"
METHODS: tuple[MethodName, ...] = ("sft", "grpo_after_warm_start")
BASE, WARM_START, GRPO = "base", "warm_start", "grpo"
ADAPTER = "adapter"
# Where training leaves the policies of both methods: the warm start alone, and GRPO after it.
ADAPTERS = {WARM_START: f"{CHALLENGERS}/sft/{ADAPTER}", GRPO: ADAPTER}


def respondents(policy: Artifact) -> tuple[Respondent, ...]:
    """The base model, the policy after its warm start where it had one, and after GRPO."""
    base = policy.manifest["base_model"]["name"]
    phases = [(name, policy.path / folder) for name, folder in ADAPTERS.items()]
    trained = [Respondent(name=name, base_model=base, adapter=folder) for name, folder in phases if folder.exists()]
    return (Respondent(name=BASE, base_model=base), *trained)


def policy_respondents(artifacts: ArtifactStore) -> tuple[Respondent, ...] | None:
    """Those of the last tool-calling policy; None where there is none."""
    policy = artifacts.latest(POLICY_ASSET, UNDATED)
    return respondents(policy) if policy else None
