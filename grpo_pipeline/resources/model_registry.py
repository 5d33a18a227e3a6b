"""The model registry as a Dagster resource."""

from __future__ import annotations

from typing import Any

import dagster as dg

from grpo_pipeline.config import load_settings
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.sign_offs import SignOffs


class ModelRegistryResource(dg.ConfigurableResource[Any]):
    """Knows every trained policy and the champion; kept in the feedback database."""

    def open(self) -> ModelRegistry:
        """The registry in the database that the settings name.

        Raises:
            PipelineError: the URL is no Postgres URL, or the embedded server cannot start.
        """
        return ModelRegistry(resolve_database_url(load_settings()))

    def sign_offs(self) -> SignOffs:
        """The datasets that a person let train, in the same database.

        Raises:
            PipelineError: the URL is no Postgres URL, or the embedded server cannot start.
        """
        return SignOffs(resolve_database_url(load_settings()))
