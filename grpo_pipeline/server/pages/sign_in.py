"""Signing in to the pages with an admin key, and out again."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import Field

from grpo_pipeline.server.access.callers import is_open
from grpo_pipeline.server.pages.rendering import HOME, page, page_routes
from grpo_pipeline.server.pages.reviewers import COOKIE, SIGN_IN, OwnPage, SignInNeededError, reviewer_of
from grpo_pipeline.server.pages.sessions import LIFETIME, end_session, start_session
from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.server.schema import Body
from grpo_pipeline.server.services import ServicesOf

# A path of this server: what begins with two slashes, or a backslash, leads to another one.
OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")

sign_in_routes = page_routes()


class SignInBody(Body):
    """What the sign-in page sends."""

    key: str = Field(max_length=200, description="An admin key.")
    next: str = Field("", max_length=2000, description="The page to go to.")


@sign_in_routes.get("/")
async def start() -> RedirectResponse:
    """Lead to the first page."""
    return RedirectResponse(HOME, 303)


@sign_in_routes.get(SIGN_IN)
async def sign_in_page(
    request: Request, services: ServicesOf, next: Annotated[str, Query(max_length=2000)] = ""
) -> Response:
    """Ask for the key, unless none is needed."""
    if await is_open(services):
        return RedirectResponse(HOME, 303)
    try:
        await reviewer_of(request)
    except SignInNeededError:
        return page("sign_in.html", None, next=next)
    return RedirectResponse(HOME, 303)


@sign_in_routes.post(SIGN_IN, dependencies=[OwnPage])
async def sign_in(body: SignInBody, request: Request, services: ServicesOf) -> JSONResponse:
    """Start a session of an admin key."""
    key = await services.keys.find(body.key.strip())
    if key is None or key.kind != "admin":
        raise ApiError(403, "This is no admin key in use: make one with `grpo-pipeline keys create admin`.")
    token = await start_session(services.pool, key)
    answer = JSONResponse({"next": body.next if OWN_PATH.fullmatch(body.next) else HOME})
    # A proxy may speak plain HTTP to this server; the browser knows what it was asked for.
    secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
    seconds = int(LIFETIME.total_seconds())
    answer.set_cookie(COOKIE, token, max_age=seconds, httponly=True, samesite="strict", secure=secure)
    return answer


@sign_in_routes.post("/sign-out", dependencies=[OwnPage])
async def sign_out(request: Request, services: ServicesOf) -> JSONResponse:
    """End the session."""
    await end_session(services.pool, request.cookies.get(COOKIE, ""))
    answer = JSONResponse({"next": SIGN_IN})
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
