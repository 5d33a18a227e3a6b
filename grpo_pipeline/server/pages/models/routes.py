"""The models pages: which version is in use, how each was judged, and what changes that."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import HTMLResponse
from pydantic import Field

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.changes import model_changes
from grpo_pipeline.registry.registry import ModelRegistry, NothingToRollBackError, UnknownVersionError
from grpo_pipeline.registry.traffic import challengers, set_share
from grpo_pipeline.server.models.routes import Version
from grpo_pipeline.server.pages.models.shown import shown_model, shown_models
from grpo_pipeline.server.pages.rendering import page, page_routes
from grpo_pipeline.server.pages.reviewers import ActingReviewer, Reviewer
from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.server.schema import Body, Name
from grpo_pipeline.server.services import Services, ServicesOf

models_routes = page_routes()
TITLE = "Models"


class Promote(Body):
    """What the promotion form sends."""

    reason: Name
    force: Literal["on"] | None = None


class RollBack(Body):
    """What the rollback form sends."""

    reason: Name
    of: Name = Field(description="The champion that was on the page.")


class Share(Body):
    """What the traffic form sends."""

    version: Name
    percent: float = Field(ge=0, lt=100, description="Of the users; 0 ends it.")
    reason: Name


@models_routes.get("/models")
async def models_page(reviewer: Reviewer, services: ServicesOf) -> HTMLResponse:
    """The champion, the shares of the traffic, every version, and what was changed when."""
    values = await asyncio.to_thread(
        lambda: shown_models(ModelRegistry(services.url).list(), challengers(services.url), model_changes(services.url))
    )
    return page("models.html", reviewer, section=TITLE, **values)


@models_routes.get("/models/{version}")
async def model_page(
    version: Version, reviewer: Reviewer, services: ServicesOf, prompts: Annotated[int, Query(ge=0, le=10_000)] = 0
) -> HTMLResponse:
    """One version: how it was judged, its answers beside others', and its promotion."""
    try:
        model = await asyncio.to_thread(ModelRegistry(services.url).get, version)
    except UnknownVersionError as error:
        raise ApiError(404, "There is no such model version: the models page lists those there are.") from error
    values = await asyncio.to_thread(shown_model, ArtifactStore(services.settings.artifacts), model, prompts)
    return page("model.html", reviewer, section=TITLE, **values)


@models_routes.post("/models/{version}/promote")
async def promote(version: Version, body: Promote, reviewer: ActingReviewer, services: ServicesOf) -> dict[str, str]:
    """Put a version in use."""
    registry, force = ModelRegistry(services.url), body.force is not None
    try:
        found = await asyncio.to_thread(registry.promote, version, reviewer.title, body.reason, force=force)
    except UnknownVersionError as error:
        raise ApiError(404, "There is no such model version.") from error
    if found.outcome == "refused":
        raise ApiError(409, f"{found.reason} Tick the box to promote it all the same.")
    return _changed(services)


@models_routes.post("/models/rollback")
async def roll_back(body: RollBack, reviewer: ActingReviewer, services: ServicesOf) -> dict[str, str]:
    """Put the champion before this one back in use."""
    try:
        await asyncio.to_thread(ModelRegistry(services.url).rollback, reviewer.title, body.reason, of=body.of)
    except NothingToRollBackError as error:
        raise ApiError(409, str(error)) from error
    return _changed(services)


@models_routes.post("/models/share")
async def share(body: Share, reviewer: ActingReviewer, services: ServicesOf) -> dict[str, str]:
    """Give a version a share of the traffic, or end it."""
    fraction = body.percent / 100
    try:
        await asyncio.to_thread(set_share, services.url, body.version, fraction, reviewer.title, body.reason)
    except PipelineError as error:
        raise ApiError(409, str(error)) from error
    return _changed(services)


def _changed(services: Services) -> dict[str, str]:
    services.models_changed()
    return {"next": "/models"}
