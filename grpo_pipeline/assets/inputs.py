"""What a manifest says about the artifacts it was made from."""

from __future__ import annotations

from collections.abc import Iterable

from grpo_pipeline.artifacts import Artifact


def hashes(artifacts: Iterable[Artifact]) -> dict[str, dict[str, str]]:
    """Hash by week by asset: the `inputs` of a manifest."""
    found: dict[str, dict[str, str]] = {}
    for artifact in artifacts:
        found.setdefault(artifact.asset, {})[artifact.week] = artifact.hash
    return found
