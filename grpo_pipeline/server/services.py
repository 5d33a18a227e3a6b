"""What the endpoints work with, opened when the server starts and closed when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import httpx2
from fastapi import Depends, Request

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.config import Settings
from grpo_pipeline.server.access.key_ring import KeyRing
from grpo_pipeline.server.access.rate_limits import RateLimit
from grpo_pipeline.server.access.tokens import Tokens
from grpo_pipeline.server.feedback.writing import FeedbackWriter
from grpo_pipeline.server.metrics import Metrics
from grpo_pipeline.server.models.in_use import ModelsInUse
from grpo_pipeline.server.pages.pulse.reading import Pulse, read_pulse
from grpo_pipeline.server.pool import Pool, connection_pool
from grpo_pipeline.server.refreshed import Refreshed
from grpo_pipeline.server.settings import ServerSettings
from grpo_pipeline.server.statistics.queries import read_stats, read_tool_calling
from grpo_pipeline.server.statistics.schema import Stats, ToolCallingStats
from grpo_pipeline.server.training.dagster_api import DagsterApi

HTTP_SECONDS = 20.0
RANKED_AT_ONCE = 2
# Counting goes over the whole database, so that pages which ask again and again share one answer.
STATS_SECONDS = 5.0
# The pulse goes over the votes of weeks.
PULSE_SECONDS = 30.0


@dataclass(frozen=True)
class Services:
    """Everything that endpoints share."""

    settings: Settings
    server: ServerSettings
    url: str
    pool: Pool
    http: httpx2.AsyncClient
    keys: KeyRing
    tokens: Tokens
    user_limit: RateLimit
    key_limit: RateLimit
    feedback: FeedbackWriter
    models: ModelsInUse
    stats: Refreshed[Stats]
    tool_calling: Refreshed[ToolCallingStats]
    pulse: Refreshed[Pulse]
    dagster: DagsterApi
    launching: asyncio.Lock
    ranking: asyncio.Semaphore
    sampling: asyncio.Lock
    metrics: Metrics

    def models_changed(self) -> None:
        """Read anew which versions are in use, and how they stand, as somebody changed that."""
        self.models.changed()
        self.pulse.forget()


@asynccontextmanager
async def open_services(
    settings: Settings, server: ServerSettings, url: str, metrics: Metrics
) -> AsyncIterator[Services]:
    """The services of a running server, on a normalized database URL."""
    # The embedded server has no users but those that feedback names.
    add_users = settings.database_url is None if server.add_users is None else server.add_users
    writing = connection_pool(url, size=1, checked=False)
    async with connection_pool(url) as pool, writing, httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:

        async def stats() -> Stats:
            async with pool.connection() as connection:
                return await read_stats(connection, settings.curation)

        async def tool_calling() -> ToolCallingStats:
            async with pool.connection() as connection:
                return await read_tool_calling(connection, ArtifactStore(settings.artifacts))

        async def pulse() -> Pulse:
            return await asyncio.to_thread(read_pulse, settings, url)

        feedback = FeedbackWriter(pool, writing, add_users=add_users)
        services = Services(
            settings=settings,
            server=server,
            url=url,
            pool=pool,
            http=http,
            keys=KeyRing(pool),
            tokens=Tokens(server, http),
            user_limit=RateLimit(server.user_requests_per_minute),
            key_limit=RateLimit(server.key_requests_per_minute),
            feedback=feedback,
            models=ModelsInUse(pool),
            stats=Refreshed(stats, STATS_SECONDS),
            tool_calling=Refreshed(tool_calling, STATS_SECONDS),
            pulse=Refreshed(pulse, PULSE_SECONDS),
            dagster=DagsterApi(http, server.dagster_url),
            launching=asyncio.Lock(),
            ranking=asyncio.Semaphore(RANKED_AT_ONCE),
            # One model at a time fits into memory beside whatever trains.
            sampling=asyncio.Lock(),
            metrics=metrics,
        )
        async with feedback.running():
            yield services


def services_of(request: Request) -> Services:
    """The running server's services."""
    services: Services = request.app.state.services
    return services


async def _services(request: Request) -> Services:
    # Async, as FastAPI would hand any other function to a thread, at twice the cost of the request.
    return services_of(request)


ServicesOf = Annotated[Services, Depends(_services)]
