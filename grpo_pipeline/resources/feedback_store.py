"""The feedback database as a Dagster resource."""

from __future__ import annotations

from typing import Any

import dagster as dg

from grpo_pipeline.config import load_settings
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.postgres.connection import resolve_database_url


class FeedbackStoreResource(dg.ConfigurableResource[Any]):
    """Reads feedback from GRPO_DATABASE_URL, or from the embedded Postgres in GRPO_HOME where that is unset.

    The URL is looked up when it is used: as a field of the resource its password would be shown in the UI.
    """

    def open(self) -> FeedbackStore:
        """The feedback of the database that the settings name; the embedded server is started on demand.

        Raises:
            PipelineError: the URL is no Postgres URL, or the embedded server cannot start.
        """
        return FeedbackStore(resolve_database_url(load_settings()))
