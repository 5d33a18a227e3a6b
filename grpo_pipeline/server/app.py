"""The HTTP API as one application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from grpo_pipeline.config import Settings
from grpo_pipeline.server.feedback.routes import feedback_routes
from grpo_pipeline.server.health import health_routes
from grpo_pipeline.server.metrics import Metrics
from grpo_pipeline.server.middleware import BodyLimit, Watch
from grpo_pipeline.server.models.routes import model_routes
from grpo_pipeline.server.pages.inbox.routes import inbox_routes
from grpo_pipeline.server.pages.models.routes import models_routes
from grpo_pipeline.server.pages.pulse.routes import pulse_routes
from grpo_pipeline.server.pages.reviewers import add_sign_in_handler
from grpo_pipeline.server.pages.sign_in import sign_in_routes
from grpo_pipeline.server.pages.week.routes import week_routes
from grpo_pipeline.server.problems import Problem, add_problem_handlers, documented
from grpo_pipeline.server.ranking.routes import ranking_routes
from grpo_pipeline.server.services import open_services
from grpo_pipeline.server.settings import ServerSettings
from grpo_pipeline.server.statistics.routes import statistics_routes
from grpo_pipeline.server.training.routes import training_routes

TITLE = "grpo_pipeline"
SUMMARY = "Takes feedback on an LLM agent's answers, and says which model the answers should come from."


def create_app(settings: Settings, server: ServerSettings, url: str) -> FastAPI:
    """The application on a migrated database.

    Args:
        settings: the project's settings.
        server: the server's own.
        url: the feedback database, as `resolve_database_url` gives it.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, server, url, metrics) as services:
            app.state.services = services
            yield

    # The stock pages for /docs load scripts from elsewhere, which the security headers forbid.
    app = FastAPI(title=TITLE, summary=SUMMARY, version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None)
    groups = (feedback_routes, model_routes, training_routes, ranking_routes, statistics_routes, health_routes)
    pages = (sign_in_routes, inbox_routes, week_routes, models_routes, pulse_routes)
    for routes in (*groups, *pages):
        app.include_router(routes)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "pages" / "static"))
    add_problem_handlers(app)
    add_sign_in_handler(app)
    app.openapi = lambda: described(app)  # type: ignore[method-assign]
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_bytes=server.max_body_bytes)
    if server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(server.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After"],
            max_age=600,
        )
    app.add_middleware(Watch, metrics=metrics)
    return app


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the form of every problem in it."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**problem.pop("$defs"), "Problem": problem}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for operation in (item for path in document["paths"].values() for item in path.values()):
            # Any endpoint may fail at what nobody expected.
            operation["responses"].setdefault("500", documented(500)[500])
        app.openapi_schema = document
    return app.openapi_schema
