"""Whether the server lives, whether it can work, and what it did so far."""

from __future__ import annotations

from typing import Literal

import psycopg
from fastapi import APIRouter, Response
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field

from grpo_pipeline.server.access.callers import ACCESS_PROBLEMS, only
from grpo_pipeline.server.problems import ApiError, documented
from grpo_pipeline.server.services import ServicesOf

READY_SECONDS = 2.0

health_routes = APIRouter(tags=["health"])


class Health(BaseModel):
    """That something holds."""

    status: Literal["ok"] = Field("ok", description="Always `ok`; anything else is another HTTP status.")


@health_routes.get("/healthz")
async def healthz() -> Health:
    """Whether the process answers at all: for a liveness probe."""
    return Health(status="ok")


@health_routes.get("/readyz", responses=documented(503))
async def readyz(services: ServicesOf) -> Health:
    """Whether the database answers, so that feedback can be taken: for a readiness probe."""
    try:
        async with services.pool.connection(timeout=READY_SECONDS) as connection:
            await connection.execute("select 1")
    except (psycopg.Error, PoolTimeout) as error:
        raise ApiError(503, "The database does not answer.", {"Retry-After": "5"}) from error
    return Health(status="ok")


@health_routes.get(
    "/metrics",
    response_class=Response,
    dependencies=[only("admin")],
    responses={
        **ACCESS_PROBLEMS,
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' format."},
    },
)
async def metrics(services: ServicesOf) -> Response:
    """Requests by route and status, their times, and this process: for Prometheus."""
    return Response(services.metrics.rendered(), media_type="text/plain; version=0.0.4; charset=utf-8")
