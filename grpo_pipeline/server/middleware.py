"""What surrounds every request: headers that browsers obey, a limit on bodies, metrics, and no traceback to anyone."""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grpo_pipeline.server.metrics import Metrics
from grpo_pipeline.server.problems import problem_response

LOG = logging.getLogger("grpo_pipeline.server")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Watch:
    """Counts and times requests, adds the security headers, and turns what nobody expected into a plain 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = False

        async def watched(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        begin = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # The message may quote feedback, as Postgres does with a failing row, so the log has the place alone.
            LOG.error("unexpected %s", place_of(error))
            if not started:
                detail = "The server failed at this; its log says where. Please report it."
                await problem_response(500, detail)(scope, receive, watched)
        finally:
            self._metrics.in_flight.dec()
            route = getattr(scope.get("route"), "path", "(none)")
            method = scope["method"] if scope["method"] in METHODS else "(other)"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - begin)


class BodyLimit:
    """Refuses a body that is too large, before all of it is read, and a body that is not sent as JSON.

    The latter keeps pages of other sites out: a browser sends JSON to another origin only after asking (CORS).
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > self._max):
            await self._refuse(scope, receive, send)
            return
        if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != b"application/json":
            detail = "Send the body as JSON, with the header Content-Type: application/json."
            await problem_response(415, detail)(scope, receive, send)
            return
        # With a length the protocol's own parser stops there; without one, what arrives is counted.
        if length is not None:
            await self._app(scope, receive, send)
            return
        body = await self._read(receive)
        if body is None:
            await self._refuse(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max:
                return None
            more = message.get("more_body", False)
        return b"".join(parts)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The body is larger than {self._max} bytes (GRPO_SERVER__MAX_BODY_BYTES)."
        # What is left of it is not read, so the connection cannot serve another request.
        await problem_response(413, detail, {"Connection": "close"})(scope, receive, send)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def place_of(error: BaseException) -> str:
    """Which error, and where in this project: its type, function, file and line, and nothing of its message."""
    frames = traceback.extract_tb(error.__traceback__)
    own = next((frame for frame in reversed(frames) if "grpo_pipeline" in frame.filename), frames[-1])
    return f"{type(error).__name__} in {own.name} ({Path(own.filename).name}, line {own.lineno})"
