"""A webhook on this machine that keeps what it is sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/services/T000/a-secret-token"


@dataclass
class Receiver:
    """What came, and how the next one is answered."""

    url: str = ""
    status: int = 200
    seconds: float = 0.0
    location: str | None = None
    alerts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def events(self) -> list[str]:
        return [alert["event"] for alert in self.alerts]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver as long as the block lasts."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/json"
            receiver.alerts.append(json.loads(body))
            time.sleep(receiver.seconds)
            self.send_response(receiver.status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}{PATH}"
        try:
            yield receiver
        finally:
            server.shutdown()
