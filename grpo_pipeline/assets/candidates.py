"""The candidates of a week: one policy per method, all in the artifact of `grpo_policy`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.training.methods.catalog import SAMPLING

# What weeks trained that had one method only.
FIRST_METHOD = "grpo_after_warm_start"


@dataclass(frozen=True)
class TrainedCandidate:
    """One method's policy: its name in the registry, its folder, and what its training says about it."""

    method: str
    version: str
    folder: Path
    facts: dict[str, Any]

    @property
    def adapter(self) -> Path:
        """The folder of the adapter."""
        return self.folder / "adapter"

    @property
    def sampled(self) -> bool:
        """Whether GRPO was part of its training: a no-go of its pre-flight leaves it out."""
        return self.method in SAMPLING and bool(self.facts.get("grpo", {"ran": True})["ran"])


def version_name(week: str, adapter_sha256: str) -> str:
    """What a policy is called everywhere: its week, and the start of its adapter's hash."""
    return f"{week}-{adapter_sha256[:8]}"


def candidates_of(policy: Artifact) -> list[TrainedCandidate]:
    """The week's candidates, from the simplest method on; none where nothing was trained.

    Of two methods that came to the same adapter only the simpler one is a candidate.
    """
    manifest = policy.manifest
    if not manifest["trained"]:
        return []
    stated = manifest.get("candidates")
    if stated is None:
        method = manifest.get("method", FIRST_METHOD)
        return [TrainedCandidate(method, manifest["version"], policy.path, manifest)]
    found: dict[str, TrainedCandidate] = {}
    for facts in stated:
        version = version_name(policy.week, facts["adapter_sha256"])
        found.setdefault(version, TrainedCandidate(facts["method"], version, policy.path / facts["folder"], facts))
    return list(found.values())


def candidate_named(policy: Artifact, version: str | None) -> TrainedCandidate | None:
    """The week's candidate of a name, or None where no method came to it."""
    return next((item for item in candidates_of(policy) if item.version == version), None)
