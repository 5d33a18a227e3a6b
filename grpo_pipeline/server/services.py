"""What the endpoints work with, opened when the server starts and closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import psycopg
from fastapi import Depends, Request
from psycopg_pool import AsyncConnectionPool

from grpo_pipeline.config import Settings
from grpo_pipeline.server.metrics import Metrics
from grpo_pipeline.server.settings import ServerSettings

Pool = AsyncConnectionPool[psycopg.AsyncConnection]
POOL_SIZE = 6
# A request that gets no connection for so long is answered with 503 instead of waiting on.
POOL_SECONDS = 5.0


@dataclass(frozen=True)
class Services:
    """Everything that endpoints share."""

    settings: Settings
    server: ServerSettings
    url: str
    pool: Pool
    metrics: Metrics


@asynccontextmanager
async def open_services(
    settings: Settings, server: ServerSettings, url: str, metrics: Metrics
) -> AsyncIterator[Services]:
    """The services of a running server, on a normalized database URL."""
    pool: Pool = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=POOL_SIZE,
        timeout=POOL_SECONDS,
        open=False,
        # A transaction pooler loses prepared statements between transactions.
        kwargs={"prepare_threshold": None},
        check=AsyncConnectionPool.check_connection,
        name="grpo-server",
    )
    async with pool:
        yield Services(settings, server, url, pool, metrics)


def services_of(request: Request) -> Services:
    """The running server's services."""
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(services_of)]
