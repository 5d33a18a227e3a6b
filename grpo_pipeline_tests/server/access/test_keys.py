from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import psycopg
import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.server.access import key_ring
from grpo_pipeline.server.access.callers import Caller, only
from grpo_pipeline.server.access.keys import KeyKind, create_key, list_keys, revoke_key
from grpo_pipeline.server.serving import described_access
from grpo_pipeline.server.settings import ServerSettings
from grpo_pipeline_tests.server.conftest import LOCAL, Server
from grpo_pipeline_tests.server.tokens import TAKES_TOKENS, bearer, token

Writer = Annotated[Caller, only("user", "app")]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are read again at every request."""
    monkeypatch.setattr(key_ring, "REFRESH_SECONDS", -1.0)


def test_a_key_opens_what_its_kind_may_and_nothing_else(server: Server) -> None:
    keys = {kind: create_key(server.url, kind, "test") for kind in ("app", "admin", "model")}
    app = server.app()

    @app.get("/write")
    def write(caller: Writer) -> str:
        return caller.name

    with TestClient(app, base_url=LOCAL) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/healthz").status_code == 200
        codes = {
            kind: (client.get("/metrics", headers=bearer(key)).status_code, client.get("/write", headers=bearer(key)))
            for kind, key in keys.items()
        }
    assert {kind: (metrics, write.status_code) for kind, (metrics, write) in codes.items()} == {
        "app": (403, 200),
        "admin": (200, 403),
        "model": (403, 403),
    }
    assert "the token of a signed-in user or an app key" in codes["model"][1].json()["detail"]


def test_only_the_hash_of_a_key_is_kept(server: Server) -> None:
    key = create_key(server.url, "app", "shop")
    with psycopg.connect(server.url) as connection:
        (row,) = connection.execute("select api_keys::text from private.api_keys").fetchall()
    assert key not in row[0]
    assert key.rpartition("_")[2] not in row[0]
    (known,) = list_keys(server.url)
    assert (known.kind, known.name, known.revoked_at) == ("app", "shop", None)
    assert known.secret_hash not in key


@pytest.mark.usefixtures("at_once")
def test_a_revoked_key_opens_nothing_and_never_opens_the_server(server: Server) -> None:
    key = create_key(server.url, "admin", "test")
    (known,) = list_keys(server.url)
    with server.client() as client:
        assert client.get("/metrics", headers=bearer(key)).status_code == 200
        revoke_key(server.url, known.id)
        assert client.get("/metrics", headers=bearer(key)).status_code == 401
        # There is no key in use any more: that closes the server, it does not open it.
        assert client.get("/metrics").status_code == 401


def test_a_key_that_differs_in_one_letter_opens_nothing(server: Server) -> None:
    key = create_key(server.url, "admin", "test")
    changed = key[:-1] + ("A" if key[-1] != "A" else "B")
    with server.client() as client:
        assert client.get("/metrics", headers=bearer(changed)).status_code == 401


def test_a_key_cannot_be_deleted_as_that_would_open_the_server(server: Server) -> None:
    create_key(server.url, "admin", "test")
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in ("delete from private.api_keys", "truncate private.api_keys"):
            with pytest.raises(psycopg.Error, match="revoked, not deleted"):
                connection.execute(statement)  # type: ignore[call-overload]


def test_without_keys_everyone_at_this_machine_may_do_everything(client: TestClient) -> None:
    assert client.get("/metrics").status_code == 200


STRANGE = {
    "a page of another site": {"Origin": "https://evil.example"},
    "a page without an origin": {"Origin": "null"},
    "an origin that is no address": {"Origin": "http://[::1"},
    "a name that points here": {"Host": "rebound.evil.example"},
    "a proxy": {"X-Forwarded-For": "203.0.113.9"},
    "a proxy of the newer kind": {"Forwarded": "for=203.0.113.9"},
}


@pytest.mark.parametrize("headers", STRANGE.values(), ids=STRANGE)
def test_without_keys_nobody_gets_in_from_elsewhere(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 403
    assert "keys create" in answer.json()["detail"]


def test_without_keys_a_page_of_this_machine_gets_in(client: TestClient) -> None:
    assert client.get("/metrics", headers={"Origin": "http://localhost:5173"}).status_code == 200


def test_a_server_that_takes_tokens_is_closed_without_keys_too(server: Server) -> None:
    with server.client(**TAKES_TOKENS) as client:
        assert client.get("/metrics").status_code == 401
        refused = client.get("/metrics", headers=bearer(token()))
    assert (refused.status_code, refused.json()["detail"]) == (403, "This needs an admin key.")


def test_who_asks_too_often_waits_while_others_go_on(server: Server) -> None:
    busy, calm = create_key(server.url, "admin", "busy"), create_key(server.url, "admin", "calm")
    with server.client(key_requests_per_minute=5) as client:
        codes = [client.get("/metrics", headers=bearer(busy)).status_code for _ in range(7)]
        late = client.get("/metrics", headers=bearer(busy))
        assert client.get("/metrics", headers=bearer(calm)).status_code == 200
    assert codes == [200] * 5 + [429] * 2
    assert 1 <= int(late.headers["retry-after"]) <= 12


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_key_says_what_it_is_for(database_url: str, name: str) -> None:
    with pytest.raises(PipelineError, match="needs a name"):
        create_key(database_url, "app", name)


def test_revoking_what_is_no_key_in_use_is_explained(database_url: str) -> None:
    with pytest.raises(PipelineError, match="keys list"):
        revoke_key(database_url, "nothing")


@pytest.mark.parametrize(
    ("kinds", "settings", "said"),
    [
        ([], {}, "It has no keys: it listens on this machine only"),
        (["app", "app", "admin"], {"host": "0.0.0.0"}, "It takes 2 app keys, 1 admin key."),
        (["app"], {}, "Nobody may see or change models: `grpo-pipeline keys create admin`"),
        ([], TAKES_TOKENS, "It takes tokens of https://ref.supabase.co/auth/v1"),
    ],
)
def test_the_start_says_who_may_use_the_server(
    database_url: str, kinds: list[KeyKind], settings: dict[str, str], said: str
) -> None:
    for kind in kinds:
        create_key(database_url, kind, "test")
    assert said in described_access(ServerSettings(**settings), list_keys(database_url))  # type: ignore[arg-type]


def test_the_command_makes_shows_and_revokes_keys(tmp_path: Path, database_url: str) -> None:
    environment = {**os.environ, "GRPO_HOME": str(tmp_path), "GRPO_DATABASE_URL": database_url}

    def keys(*words: str) -> str:
        command = [sys.executable, "-m", "grpo_pipeline", "keys", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout

    key = keys("create", "app", "--name", "the shop").strip()
    assert key.startswith("grpo_app_")
    (known,) = list_keys(database_url)
    assert known.id in keys("list")
    assert key not in keys("list")
    assert f"Key {known.id} is revoked." in keys("revoke", known.id)
