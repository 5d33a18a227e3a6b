"""Settings of the HTTP server, each also an environment variable `GRPO_SERVER__<NAME>`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from grpo_pipeline.errors import PipelineError

Kind = TypeVar("Kind", bound=BaseSettings)


class ServerSettings(BaseSettings):
    """Where the server listens and what it lets through."""

    model_config = SettingsConfigDict(env_prefix="GRPO_SERVER__", env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; off loopback only once keys are configured.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    max_body_bytes: int = Field(2 * 1024 * 1024, ge=1024, description="Largest request body; a larger one is refused.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call the API from a browser, separated by commas; unset: none."
    )

    dagster_url: str = Field("http://127.0.0.1:3000", description="The Dagster webserver, which launches runs.")

    add_users: bool | None = Field(
        None,
        description="Add users that the database does not know, for a Postgres without Supabase Auth; unset: on the "
        "embedded server.",
    )
    sample_seconds: float = Field(120, gt=0, description="Longest time that sampling from the champion may take.")
    user_requests_per_minute: int = Field(120, ge=1, description="Most requests a minute of one signed-in user.")
    key_requests_per_minute: int = Field(120_000, ge=1, description="Most requests a minute with one key.")
    supabase_url: str | None = Field(
        None,
        description="The Supabase project, such as https://REF.supabase.co: its users' tokens are taken, checked with "
        "its public keys.",
    )
    jwt_secret: SecretStr | None = Field(
        None, min_length=32, description="Shared secret of HS256 tokens, as older Supabase projects have."
    )
    jwt_jwks_url: str | None = Field(None, description="Where the issuer's public keys are; unset: Supabase's place.")
    jwt_issuer: str | None = Field(None, description="Who must have made a token; unset: the Supabase project.")
    jwt_audience: str = Field("authenticated", min_length=1, description="For whom a token must have been made.")

    @field_validator("supabase_url", "jwt_secret", "jwt_jwks_url", "jwt_issuer", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("supabase_url", "jwt_jwks_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if url and not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
            raise ValueError("give a URL that starts with https://")
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _tokens_have_an_issuer(self) -> ServerSettings:
        if (self.jwt_secret or self.jwt_jwks_url) and self.issuer is None:
            raise ValueError("say who makes the tokens: set GRPO_SERVER__SUPABASE_URL or GRPO_SERVER__JWT_ISSUER")
        return self

    @property
    def issuer(self) -> str | None:
        """Who must have made a token."""
        return self.jwt_issuer or (f"{self.supabase_url}/auth/v1" if self.supabase_url else None)

    @property
    def jwks_url(self) -> str | None:
        """Where the issuer's public keys are."""
        supabase = f"{self.supabase_url}/auth/v1/.well-known/jwks.json" if self.supabase_url else None
        return self.jwt_jwks_url or supabase

    @property
    def takes_tokens(self) -> bool:
        """Whether tokens of users can be checked."""
        return self.jwt_secret is not None or self.jwks_url is not None

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https"):
                raise ValueError(
                    f"'{origin}' is no origin: give the scheme and host alone, such as https://app.example"
                )
        return origins

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host name or address names this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load_server_settings(**chosen: object) -> ServerSettings:
    """The server's settings from the environment and `.env`, with what the command line chose in their place.

    Raises:
        PipelineError: a variable has a value that its setting does not take.
    """
    return from_environment(ServerSettings, chosen)


def from_environment(kind: type[Kind], chosen: Mapping[str, object]) -> Kind:
    """Settings of a kind from the environment and `.env`, with what was chosen in their place where it is not None.

    Raises:
        PipelineError: a variable has a value that its setting does not take.
    """
    stated: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    try:
        return kind(**stated)
    except ValidationError as error:
        prefix = kind.model_config["env_prefix"]
        faults = [
            f"{prefix}{'_'.join(str(part).upper() for part in fault['loc'])}: {fault['msg']}"
            if fault["loc"]
            else fault["msg"]
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise PipelineError("Settings that cannot be used: " + "; ".join(faults) + ".") from error
