"""Settings of the HTTP server, each also an environment variable `GRPO_SERVER__<NAME>`."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from grpo_pipeline.errors import PipelineError


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
    stated = {name: value for name, value in chosen.items() if value is not None}
    try:
        return ServerSettings(**stated)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [
            f"GRPO_SERVER__{'__'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise PipelineError("Settings that cannot be used: " + "; ".join(faults) + ".") from error
