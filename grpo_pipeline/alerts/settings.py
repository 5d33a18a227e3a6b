"""Settings of the alerts, each also a variable `GRPO_ALERTS__<NAME>`."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class AlertSettings(BaseModel):
    """Where alerts go and when something is late."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr | None = Field(
        None,
        description="Webhook that alerts are posted to as JSON, such as a Slack one (it is a secret); unset: none are "
        "sent.",
    )
    timeout_seconds: float = Field(5, gt=0, le=30, description="Longest time that the webhook may take.")
    stale_hours: float = Field(
        24, ge=0, description="Hours for which weeks may differ from the database before it is an alert."
    )
    late_hours: float = Field(
        6, gt=0, description="Hours after its time within which the weekly training must have started."
    )

    @field_validator("url", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("url")
    @classmethod
    def _is_a_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url else None
        if parts and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError("give a URL that starts with https:// or http://")
        return url
