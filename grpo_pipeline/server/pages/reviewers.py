"""Who looks at a page, and whether what is sent comes from a page of this server: the dependencies of all pages."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from grpo_pipeline.server.access.callers import Caller, hold_back, is_open, refuse_strangers
from grpo_pipeline.server.pages.sessions import reviewer_of_session
from grpo_pipeline.server.problems import ApiError, problem_response
from grpo_pipeline.server.services import services_of

COOKIE = "grpo_session"
SIGN_IN = "/sign-in"
# Whoever sits at this machine while there are no keys.
LOCAL = Caller("local", "local", "local")


class SignInNeededError(Exception):
    """Nobody is signed in."""


async def reviewer_of(request: Request) -> Caller:
    """Who looks at the page.

    Raises:
        SignInNeededError: nobody is signed in.
        ApiError: the server is open to this machine and the request comes from elsewhere, or it is one too many.
    """
    services = services_of(request)
    if await is_open(services):
        refuse_strangers(request, services)
        return LOCAL
    token = request.cookies.get(COOKIE)
    reviewer = await reviewer_of_session(services.pool, token) if token else None
    if reviewer is None:
        raise SignInNeededError
    hold_back(services, reviewer)
    return reviewer


def from_own_page(request: Request) -> None:
    """Take what a page of this server sends, and nothing that a page from elsewhere does in its reader's name.

    The browser says where a request comes from, in a header that no page can set; the cookie is not sent along from
    other sites either (SameSite).

    Raises:
        ApiError: it does not come from a page of this server.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = site == "same-origin" if site else origin is not None and _place(origin) == request.headers.get("host")
    if not own:
        raise ApiError(403, "This comes from no page of this server: open the page here and try again.")


async def acting_reviewer(request: Request) -> Caller:
    """Who changes something on a page of this server.

    Raises:
        SignInNeededError: nobody is signed in.
        ApiError: it comes from elsewhere.
    """
    from_own_page(request)
    return await reviewer_of(request)


Reviewer = Annotated[Caller, Depends(reviewer_of)]
ActingReviewer = Annotated[Caller, Depends(acting_reviewer)]
OwnPage = Depends(from_own_page)


def add_sign_in_handler(app: FastAPI) -> None:
    """Lead who is not signed in to the sign-in page, and from there back."""

    @app.exception_handler(SignInNeededError)
    async def sign_in_needed(request: Request, _: SignInNeededError) -> Response:
        if request.method != "GET":
            return sign_in_problem()
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{SIGN_IN}?next={quote(wanted, safe='')}", 303)


def sign_in_problem() -> JSONResponse:
    """The answer to what is sent by nobody."""
    return problem_response(401, "You are signed out: reload the page and sign in again.")


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
