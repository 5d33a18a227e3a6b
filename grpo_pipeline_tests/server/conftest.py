from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from grpo_pipeline.config import Settings
from grpo_pipeline.server.app import create_app
from grpo_pipeline.server.settings import ServerSettings

LOCAL = "http://127.0.0.1:8000"


class Server:
    """The application on a test's database, with a client that speaks to it from this machine."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url

    def app(self, **settings: object) -> FastAPI:
        return create_app(Settings(home=self.home, database_url=self.url), ServerSettings(**settings), self.url)  # type: ignore[arg-type]

    @contextmanager
    def client(self, **settings: object) -> Iterator[TestClient]:
        with TestClient(self.app(**settings), base_url=LOCAL, raise_server_exceptions=False) as client:
            yield client


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Server:
    return Server(tmp_path / "home", database_url)


@pytest.fixture
def client(server: Server) -> Iterator[TestClient]:
    """A client of a server without keys."""
    with server.client() as client:
        yield client
