"""What feedback says so far."""

from __future__ import annotations

from fastapi import APIRouter

from grpo_pipeline.server.access.callers import ACCESS_PROBLEMS, only
from grpo_pipeline.server.services import ServicesOf
from grpo_pipeline.server.statistics.schema import Stats, ToolCallingStats

statistics_routes = APIRouter(
    prefix="/api", tags=["statistics"], dependencies=[only("admin")], responses=ACCESS_PROBLEMS
)


@statistics_routes.get("/stats")
async def stats(services: ServicesOf) -> Stats:
    """Feedback by type, pairs by review status, weeks, and how users judge each model version.

    At most some seconds old.

    ```sh
    curl http://127.0.0.1:8000/api/stats -H "Authorization: Bearer $ADMIN_KEY"
    ```
    """
    return await services.stats.get()


@statistics_routes.get("/grpo/tool-calling-stats")
async def tool_calling_stats(services: ServicesOf) -> ToolCallingStats:
    """What feedback says about tool calls, and what was measured of the champion's.

    ```sh
    curl http://127.0.0.1:8000/api/grpo/tool-calling-stats -H "Authorization: Bearer $ADMIN_KEY"
    ```
    """
    return await services.tool_calling.get()
