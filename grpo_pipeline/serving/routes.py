"""The OpenAI-compatible API: what clients ask is passed on to the engine, under the engine's name for the model.

It stands between clients and the engine because no engine has all of this: a name that follows the champion, a switch
in one step, keys, and no way to have it load whatever somebody names.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx2
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.server.access.callers import ACCESS_PROBLEMS, only
from grpo_pipeline.server.problems import ApiError, documented
from grpo_pipeline.serving.switchboard import CHAMPION, Served, Switchboard

# What feedback on an answer should name as its `modelVersion`.
VERSION_HEADER = "X-Model-Version"
PROBLEMS = {**ACCESS_PROBLEMS, **documented(400, 404, 413, 415)}

serving_routes = APIRouter(tags=["models"])


class ServedModel(BaseModel):
    """A model that can be asked."""

    id: str = Field(description="Its name.")
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "grpo_pipeline"
    root: str = Field(description="The version that answers.")


class ServedModels(BaseModel):
    """The models that can be asked."""

    object: Literal["list"] = "list"
    data: list[ServedModel]


class ServingHealth(BaseModel):
    """What is served, and what should be."""

    status: Literal["ok", "behind"] = Field(description="`behind`: another version than the registry's is served.")
    champion: str | None = Field(description="The version that answers as `champion`.")
    wanted: str | None = Field(description="The version that should.")
    models: list[str] = Field(description="Every version that can be asked.")
    troubles: dict[str, str] = Field(description="What keeps a version from being served.")


def _switchboard(request: Request) -> Switchboard:
    switchboard: Switchboard = request.app.state.switchboard
    return switchboard


@serving_routes.get("/healthz", responses={503: {"model": ServingHealth}})
async def healthz(request: Request, response: Response) -> ServingHealth:
    """Which version answers, and whether it is the one that should; 503 where it is not."""
    served = _switchboard(request).served
    behind = served.champion is None or served.champion != served.wanted
    response.status_code = 503 if behind else 200
    return ServingHealth(
        status="behind" if behind else "ok",
        champion=served.champion,
        wanted=served.wanted,
        models=list(served.engine_names),
        troubles=dict(served.troubles),
    )


@serving_routes.get("/v1/models", dependencies=[only("app", "model", "admin")], responses=ACCESS_PROBLEMS)
async def list_models(request: Request) -> ServedModels:
    """The champion, under that name and its own, and the versions that challenge it."""
    served = _switchboard(request).served
    alias = [ServedModel(id=CHAMPION, root=served.champion)] if served.champion else []
    return ServedModels(data=[*alias, *(ServedModel(id=name, root=name) for name in served.engine_names)])


@serving_routes.post("/v1/chat/completions", dependencies=[only("app", "model", "admin")], responses=PROBLEMS)
@serving_routes.post("/v1/completions", dependencies=[only("app", "model", "admin")], responses=PROBLEMS)
async def complete(request: Request) -> Response:
    """As OpenAI's API, streamed or whole; `model` is `champion` or a version, unset: the champion."""
    switchboard = _switchboard(request)
    asked = _parsed(await request.body())
    version, engine_name = _chosen(switchboard.served, asked.get("model", CHAMPION))
    passed = switchboard.client.build_request("POST", request.url.path, json={**asked, "model": engine_name})
    try:
        answer = await switchboard.client.send(passed, stream=True)
    except httpx2.TransportError as error:
        raise PipelineError("The engine broke off; try again in a moment.") from error
    return StreamingResponse(
        _renamed(answer, engine_name, version),
        answer.status_code,
        headers={VERSION_HEADER: version},
        media_type=answer.headers.get("content-type"),
    )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise ApiError(400, "The body is no JSON that can be read.") from error
    if not isinstance(asked, dict):
        raise ApiError(400, "The body is no JSON object.")
    return asked


def _chosen(served: Served, asked: object) -> tuple[str, str]:
    """The version that answers, and the engine's name for it."""
    if served.champion is None:
        raise PipelineError("No model is ready yet; try again in a moment.")
    version = served.model_of(asked) if isinstance(asked, str) else None
    if version is None:
        raise ApiError(404, "There is no such model here: /v1/models lists those there are.")
    return version, served.engine_names[version]


async def _renamed(answer: httpx2.Response, engine_name: str, version: str) -> AsyncIterator[bytes]:
    """An answer as it comes, line by line, with the version in place of the engine's name for it.

    Quotes in what the model writes are escaped in JSON, so nothing of that can look like the field.
    """
    before, after = (b'"model":' + json.dumps(name).encode() for name in (engine_name, version))
    left = b""
    try:
        async for part in answer.aiter_bytes():
            lines = (left + part).split(b"\n")
            left = lines.pop()
            if lines:
                yield b"\n".join([*lines, b""]).replace(before, after)
        yield left.replace(before, after)
    finally:
        await answer.aclose()
