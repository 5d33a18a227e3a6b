"""Who calls, and what each may do: the dependency of every endpoint that is not open to all."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from grpo_pipeline.server.access.keys import PREFIX
from grpo_pipeline.server.access.tokens import TokenRefusedError
from grpo_pipeline.server.problems import ApiError, documented
from grpo_pipeline.server.services import Services, services_of
from grpo_pipeline.server.settings import is_loopback

CallerKind = Literal["user", "app", "admin", "model", "local"]
CHALLENGE = {"WWW-Authenticate": "Bearer"}
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
# What a closed endpoint may answer with besides its own.
ACCESS_PROBLEMS = documented(401, 403, 429, 503)

bearer = HTTPBearer(
    auto_error=False,
    description="A key of `grpo-pipeline keys create`, or the access token of a user who signed in with Supabase.",
)


@dataclass(frozen=True)
class Caller:
    """Somebody who showed a key or a token, or sits at this machine while there are none.

    Attributes:
        kind: what he may do.
        name: who he is, for limits.
        title: who he is, for the registry.
        user_id: the user, where it is one.
    """

    kind: CallerKind
    name: str
    title: str
    user_id: UUID | None = None


Shown = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]


async def caller_of(request: Request, shown: Shown) -> Caller:
    """Who calls.

    Raises:
        ApiError: nothing that holds was shown.
    """
    services = services_of(request)
    if await is_open(services):
        refuse_strangers(request, services)
        return Caller("local", "local", "this machine")
    if shown is None:
        raise ApiError(401, "Send a key or a user's token in the header Authorization: Bearer ...", CHALLENGE)
    if shown.credentials.startswith(PREFIX):
        key = await services.keys.find(shown.credentials)
        if key is None:
            raise ApiError(401, "The key is unknown or was revoked.", CHALLENGE)
        return Caller(key.kind, f"key {key.id}", f"{key.name} (key {key.id})")
    try:
        user = await services.tokens.user_of(shown.credentials)
    except TokenRefusedError as error:
        raise ApiError(401, f"The token is refused: {error}.", CHALLENGE) from error
    return Caller("user", f"user {user}", f"user {user}", user)


async def is_open(services: Services) -> bool:
    """Whether nobody has to show anything, as there are no keys and only this machine can ask."""
    return services.server.on_loopback and not services.tokens.configured and await services.keys.is_empty()


def refuse_strangers(request: Request, services: Services) -> None:
    """Keep to this machine what is open to it: no page of another site, no name that only points here, no proxy.

    Raises:
        ApiError: the request comes from elsewhere.
    """
    origin = request.headers.get("origin")
    strange_page = origin and origin not in services.server.cors_origins and not is_loopback(_host(origin))
    proxied = any(name in request.headers for name in PROXY_HEADERS)
    if strange_page or proxied or not is_loopback(request.url.hostname or ""):
        raise ApiError(
            403, "Without keys this server answers this machine only: create one with `grpo-pipeline keys create`."
        )


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def only(*kinds: CallerKind) -> Any:  # noqa: ANN401
    """A dependency that lets these callers through, no faster than they may ask, and gives the caller.

    Whoever sits at this machine while there are no keys may do everything.
    """
    return Depends(_gate(frozenset({*kinds, "local"})))


def _gate(kinds: frozenset[str]) -> Callable[..., Awaitable[Caller]]:
    async def gate(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        if caller.kind not in kinds:
            wanted = " or ".join(NEEDED[kind] for kind in NEEDED if kind in kinds)
            raise ApiError(403, f"This needs {wanted}.")
        hold_back(services_of(request), caller)
        return caller

    return gate


def hold_back(services: Services, caller: Caller) -> None:
    """Count a request of a caller.

    Raises:
        ApiError: it is one too many.
    """
    limit = services.user_limit if caller.kind == "user" else services.key_limit
    wait = limit.wait_for(caller.name)
    if wait:
        raise ApiError(429, f"Too many requests: wait {math.ceil(wait)} s.", {"Retry-After": str(math.ceil(wait))})


NEEDED: dict[str, str] = {
    "user": "the token of a signed-in user",
    "app": "an app key",
    "admin": "an admin key",
    "model": "a model key",
}

AdminOnly = Annotated[Caller, only("admin")]
