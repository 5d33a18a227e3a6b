"""Tokens of signed-in users, as Supabase Auth issues them (JWT, RFC 7519)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
import jwt

from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.server.settings import ServerSettings

SHARED_SECRET = "HS256"
ASYMMETRIC = ("ES256", "RS256", "EdDSA")
REQUIRED = ["exp", "iss", "aud", "sub"]
# Clocks differ a little.
LEEWAY_SECONDS = 10
KEYS_LAST_SECONDS = 600.0
# A token that names an unknown key makes the server look for new keys, but not more often than this.
COOLDOWN_SECONDS = 15.0
FETCH_SECONDS = 5.0
# A token that held is not checked again for so long: checking it is a fifth of what taking feedback costs.
HELD_SECONDS = 30.0
MOST_HELD = 10_000
REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "another issuer made it",
    jwt.MissingRequiredClaimError: "it lacks a subject, issuer, audience or expiry",
    jwt.InvalidSignatureError: "its signature does not hold",
}


class TokenRefusedError(Exception):
    """A token that does not hold; the message says why."""


@dataclass
class Tokens:
    """Checks tokens by the shared secret or the issuer's public keys, whichever their algorithm asks for."""

    settings: ServerSettings
    http: httpx2.AsyncClient
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    _fetched_at: float = float("-inf")
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)
    _held: dict[str, tuple[UUID, float]] = field(default_factory=dict)

    @property
    def configured(self) -> bool:
        """Whether any token can hold."""
        return self.settings.takes_tokens

    async def user_of(self, token: str) -> UUID:
        """The user whom a token stands for.

        Raises:
            TokenRefusedError: it does not hold.
            ApiError: the issuer's keys cannot be read.
        """
        user, until = self._held.get(token, (None, 0.0))
        if user is not None and time.time() < until:
            return user
        user, expiry = await self._checked(token)
        if len(self._held) >= MOST_HELD:
            self._held.clear()
        self._held[token] = (user, min(expiry, time.time() + HELD_SECONDS))
        return user

    async def _checked(self, token: str) -> tuple[UUID, float]:
        """The user whom a token stands for, and when it expires."""
        if not self.configured:
            raise TokenRefusedError("this server takes keys only")
        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = await self._key_for(header)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self.settings.jwt_audience,
                issuer=self.settings.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED},
            )
        except jwt.PyJWTError as error:
            reason = next((text for kind, text in REASONS.items() if isinstance(error, kind)), "it is malformed")
            raise TokenRefusedError(reason) from error
        try:
            return UUID(claims["sub"]), float(claims["exp"])
        except ValueError as error:
            raise TokenRefusedError("its subject is no user id") from error

    async def _key_for(self, header: dict[str, Any]) -> tuple[Any, str]:
        """The one key and algorithm that may have signed it: a public key is never taken for a shared secret."""
        algorithm = header.get("alg")
        if algorithm == SHARED_SECRET and self.settings.jwt_secret is not None:
            return self.settings.jwt_secret.get_secret_value(), SHARED_SECRET
        if algorithm in ASYMMETRIC and self.settings.jwks_url is not None and isinstance(header.get("kid"), str):
            key = await self._public_key(self.settings.jwks_url, header["kid"])
            if key.algorithm_name == algorithm:
                return key, algorithm
        raise TokenRefusedError("it is signed in a way that this server does not take")

    async def _public_key(self, url: str, identity: str) -> jwt.PyJWK:
        if self._age() > KEYS_LAST_SECONDS or (identity not in self._keys and self._age() > COOLDOWN_SECONDS):
            async with self._fetching:
                if self._age() > COOLDOWN_SECONDS:
                    await self._fetch(url)
        if not self._keys:
            raise ApiError(503, "The keys of the token's issuer cannot be read.", {"Retry-After": "15"})
        if identity not in self._keys:
            raise TokenRefusedError("its key is none of the issuer's")
        return self._keys[identity]

    async def _fetch(self, url: str) -> None:
        # Also before one that fails: otherwise every token asked about meanwhile would try, one after the other.
        self._fetched_at = time.monotonic()
        try:
            answer = (await self.http.get(url, timeout=FETCH_SECONDS)).raise_for_status()
            found = jwt.PyJWKSet.from_dict(answer.json())
        except (httpx2.HTTPError, jwt.PyJWTError, ValueError, AttributeError):
            # Keys that were read before still hold until the issuer answers again.
            return
        self._keys = {key.key_id: key for key in found.keys if key.key_id}

    def _age(self) -> float:
        return time.monotonic() - self._fetched_at
