"""Posts alerts to a webhook; whatever happens there stays there.

The standard library's client is used, as others log the address of every request, and with it the secret it holds.
"""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError

from grpo_pipeline.alerts.alert import Alert
from grpo_pipeline.alerts.settings import AlertSettings


def send(settings: AlertSettings, alert: Alert) -> str | None:
    """Post an alert where a webhook is set.

    Returns:
        None where it was delivered or none is set, else what went wrong, without the address.
    """
    if settings.url is None:
        return None
    request = urllib.request.Request(
        settings.url.get_secret_value(),
        json.dumps(alert.as_json()).encode(),
        {"Content-Type": "application/json", "User-Agent": "grpo_pipeline"},
    )
    try:
        # Whoever answers slowly is not read: the status says it all.
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=settings.timeout_seconds):
            return None
    except HTTPError as error:
        with error:
            return f"The webhook answered {error.code} to the alert {alert.event}."
    except (OSError, HTTPException, ValueError) as error:
        # The messages of some of these quote the address.
        return f"The webhook could not be reached with the alert {alert.event} ({type(error).__name__})."


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An alert goes where it was addressed, or nowhere."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Take the redirection as the answer."""
