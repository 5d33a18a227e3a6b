"""Tokens as Supabase Auth makes them, and as forgers do."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt

SECRET = "a-shared-secret-of-at-least-32-bytes!"
ISSUER = "https://ref.supabase.co/auth/v1"
USER = "6f5a3c0e-6c3b-4d0e-9f43-0d8a4f1c7b21"
TAKES_TOKENS = {"jwt_secret": SECRET, "jwt_issuer": ISSUER}


def claims(**changed: object) -> dict[str, Any]:
    """The claims of a signed-in user's token; None takes one out."""
    now = int(time.time())
    usual = {
        "sub": USER, "iss": ISSUER, "aud": "authenticated", "role": "authenticated", "iat": now, "exp": now + 3600,
    }  # fmt: skip
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def token(secret: str = SECRET, **changed: object) -> str:
    """A signed token of a user."""
    return jwt.encode(claims(**changed), secret, "HS256")


def unsigned(algorithm: str = "none", **changed: object) -> str:
    """A token that says it needs no signature, or names an algorithm and has none."""
    parts = [{"alg": algorithm, "typ": "JWT"}, claims(**changed)]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def bearer(credentials: str) -> dict[str, str]:
    """The header that shows a key or a token."""
    return {"Authorization": f"Bearer {credentials}"}
