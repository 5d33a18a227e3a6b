from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Annotated

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi.testclient import TestClient

from grpo_pipeline.server.access import tokens
from grpo_pipeline.server.access.callers import Caller, only
from grpo_pipeline.server.settings import ServerSettings
from grpo_pipeline_tests.server.conftest import LOCAL, Server
from grpo_pipeline_tests.server.tokens import ISSUER, SECRET, TAKES_TOKENS, USER, bearer, claims, token, unsigned

SignedIn = Annotated[Caller, only("user")]


def asking(server: Server, **settings: object) -> TestClient:
    """A client of a server with an endpoint that tells a user who he is."""
    app = server.app(**settings)

    @app.get("/me")
    def me(caller: SignedIn) -> str | None:
        return str(caller.user_id)

    return TestClient(app, base_url=LOCAL)


def test_a_token_that_holds_names_its_user(server: Server) -> None:
    with asking(server, **TAKES_TOKENS) as client:
        assert client.get("/me", headers=bearer(token())).json() == USER
        assert client.get("/me", headers=bearer(token(aud=["authenticated", "other"]))).json() == USER


def test_a_token_that_held_once_does_not_hold_beyond_its_expiry(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "LEEWAY_SECONDS", 0)
    with asking(server, **TAKES_TOKENS) as client:
        short = bearer(token(exp=int(time.time()) + 2))
        assert [client.get("/me", headers=short).status_code for _ in range(3)] == [200] * 3
        time.sleep(2.1)
        assert client.get("/me", headers=short).status_code == 401


FORGED = {
    "another secret": token("some-other-secret-of-at-least-32-bytes"),
    "alg none": unsigned(),
    "alg None": unsigned("None"),
    "no signature": unsigned("HS256"),
    "a changed payload": ".".join(
        [token().split(".")[0], unsigned(sub="00000000-0000-0000-0000-000000000001").split(".")[1], token()[-43:]]
    ),
    "expired": token(exp=1_700_000_000),
    "not valid yet": token(nbf=4_000_000_000),
    "wrong audience": token(aud="anon"),
    "wrong issuer": token(iss="https://evil.example/auth/v1"),
    "no audience": token(aud=None),
    "no issuer": token(iss=None),
    "no expiry": token(exp=None),
    "no subject": token(sub=None),
    "a subject that is no user": token(sub="robert'); drop table agent_feedback; --"),
    "the project's anon key": token(sub=None, aud=None, iss="supabase", role="anon"),
    "the project's service key": token(sub=None, aud=None, iss="supabase", role="service_role"),
    "HS512": jwt.encode(claims(), SECRET * 2, "HS512"),
    "no token": "nonsense",
    "nothing between dots": "..",
    "html": "<script>alert(1)</script>",
}


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    postgres = request.getfixturevalue("postgres_server")
    with postgres.fresh_database("migrated") as url:
        server = Server(tmp_path_factory.mktemp("home"), url)
        with asking(server, **TAKES_TOKENS) as client:
            yield client


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_token_that_does_not_hold_is_refused(shared_client: TestClient, forged: str) -> None:
    answer = shared_client.get("/me", headers=bearer(forged))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["detail"].startswith("The token is refused: ")
    assert forged not in answer.text
    assert "drop table" not in answer.text


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "bearer\t", ""])
def test_a_header_that_holds_no_token_is_refused(shared_client: TestClient, header: str) -> None:
    assert shared_client.get("/me", headers={"Authorization": header}).status_code == 401


class Issuer:
    """A server with public keys, as Supabase Auth has one."""

    def __init__(self) -> None:
        self.private = {"first": ec.generate_private_key(ec.SECP256R1())}
        self.asked = 0
        self.status = 200
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": issuer.public()}).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def public(self) -> list[dict[str, object]]:
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        found = ((name, algorithm.to_jwk(key.public_key(), as_dict=True)) for name, key in self.private.items())
        return [{**shown, "kid": name, "alg": "ES256", "use": "sig"} for name, shown in found]

    def token(self, name: str = "first", **changed: object) -> str:
        stated = claims(**{"iss": f"{self.url}/auth/v1", **changed})
        return jwt.encode(stated, self.private[name], "ES256", headers={"kid": name})

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


def test_the_address_of_the_supabase_project_is_all_that_is_needed(server: Server, issuer: Issuer) -> None:
    with asking(server, supabase_url=issuer.url) as client:
        assert [client.get("/me", headers=bearer(issuer.token())).json() for _ in range(3)] == [USER] * 3
        assert client.get("/me", headers=bearer(issuer.token(exp=1_700_000_000))).status_code == 401
    assert issuer.asked == 1


def test_a_public_key_is_no_shared_secret(server: Server, issuer: Issuer) -> None:
    public = issuer.private["first"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "typ": "JWT", "kid": "first"}
    stated = claims(iss=f"{issuer.url}/auth/v1")
    parts = b".".join(jwt.utils.base64url_encode(json.dumps(part).encode()) for part in (header, stated))
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(parts, pem)
    forged = (parts + b"." + jwt.utils.base64url_encode(signature)).decode()
    for settings in ({"supabase_url": issuer.url}, {"supabase_url": issuer.url, "jwt_secret": SECRET}):
        with asking(server, **settings) as client:
            assert client.get("/me", headers=bearer(issuer.token())).json() == USER
            assert client.get("/me", headers=bearer(forged)).status_code == 401


def test_a_key_that_the_issuer_does_not_have_is_asked_for_once_not_each_time(server: Server, issuer: Issuer) -> None:
    own = rsa.generate_private_key(65537, 2048)
    with asking(server, supabase_url=issuer.url) as client:
        for number in range(5):
            forged = jwt.encode(claims(iss=f"{issuer.url}/auth/v1"), own, "RS256", headers={"kid": f"unknown {number}"})
            assert client.get("/me", headers=bearer(forged)).status_code == 401
    assert issuer.asked == 1


def test_an_issuer_that_does_not_answer_is_no_reason_to_let_anyone_in(server: Server, issuer: Issuer) -> None:
    made = issuer.token()
    issuer.close()
    with asking(server, supabase_url=issuer.url) as client:
        answer = client.get("/me", headers=bearer(made))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "15")


def test_an_issuer_that_fails_is_asked_once_not_for_each_token(server: Server, issuer: Issuer) -> None:
    issuer.status = 500
    with asking(server, supabase_url=issuer.url) as client:
        assert [client.get("/me", headers=bearer(issuer.token())).status_code for _ in range(5)] == [503] * 5
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"jwt_secret": SECRET},
        {"jwt_secret": "short", "jwt_issuer": ISSUER},
        {"supabase_url": "http://ref.supabase.co"},
        {"jwt_jwks_url": "ftp://keys.example", "jwt_issuer": ISSUER},
    ],
)
def test_settings_that_would_let_the_wrong_ones_in_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"issuer|makes the tokens|at least 32|https://"):
        ServerSettings(**settings)  # type: ignore[arg-type]
