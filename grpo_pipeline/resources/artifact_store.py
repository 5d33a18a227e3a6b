"""The artifact store as a Dagster resource."""

from __future__ import annotations

from typing import Any

import dagster as dg

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.config import load_settings


class ArtifactStoreResource(dg.ConfigurableResource[Any]):
    """Keeps every output of the pipeline under GRPO_ARTIFACT_ROOT (default: `artifacts` in GRPO_HOME)."""

    def open(self) -> ArtifactStore:
        """The store at the place that the settings name now."""
        return ArtifactStore(load_settings().artifacts)
