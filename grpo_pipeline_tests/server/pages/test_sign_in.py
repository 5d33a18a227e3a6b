from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from grpo_pipeline.server.access.keys import KeyKind, create_key, list_keys, revoke_key
from grpo_pipeline.server.pages.rendering import page
from grpo_pipeline.server.pages.reviewers import COOKIE, ActingReviewer, Reviewer
from grpo_pipeline_tests.server.access.test_keys import STRANGE, TAKES_TOKENS
from grpo_pipeline_tests.server.conftest import LOCAL, Server

OWN = {"Origin": LOCAL}
FOREIGN = {
    "another site": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:8001"},
    "no page": {},
    "a page without an origin": {"Origin": "null"},
    "another site, as the browser says": {"Origin": LOCAL, "Sec-Fetch-Site": "cross-site"},
    "another port, as the browser says": {"Origin": LOCAL, "Sec-Fetch-Site": "same-site"},
    "an origin that is no address": {"Origin": "http://[::1"},
}


def with_probe(app: FastAPI) -> FastAPI:
    """The application with a page and an action that say who is there."""

    @app.get("/probe")
    async def look(reviewer: Reviewer) -> HTMLResponse:
        return page("sign_in.html", reviewer, next="")

    @app.post("/probe")
    async def act(reviewer: ActingReviewer) -> dict[str, str]:
        return {"who": reviewer.title}

    return app


@contextmanager
def browser(server: Server, **settings: object) -> Iterator[TestClient]:
    app = with_probe(server.app(**settings))
    with TestClient(app, base_url=LOCAL, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


@pytest.fixture
def key(server: Server) -> str:
    return create_key(server.url, "admin", "Ada")


def sign_in(client: TestClient, key: str, next: str = "", headers: dict[str, str] = OWN) -> None:
    assert client.post("/sign-in", json={"key": key, "next": next}, headers=headers).status_code == 200


def test_without_keys_pages_are_open_to_this_machine_whose_reviewer_is_local(server: Server) -> None:
    with browser(server) as client:
        assert client.get("/probe").status_code == 200
        assert client.post("/probe", json={}, headers=OWN).json() == {"who": "local"}
        assert client.get("/sign-in").headers["location"] == "/inbox"


@pytest.mark.parametrize("headers", STRANGE.values(), ids=STRANGE)
def test_without_keys_nobody_sees_pages_from_elsewhere(server: Server, headers: dict[str, str]) -> None:
    with browser(server) as client:
        assert client.get("/probe", headers=headers).status_code == 403


def test_with_keys_a_page_leads_to_the_sign_in_and_back(server: Server, key: str) -> None:
    with browser(server) as client:
        led = client.get("/probe?q=a%20b&status=pending")
        assert led.status_code == 303
        assert led.headers["location"] == "/sign-in?next=%2Fprobe%3Fq%3Da%2520b%26status%3Dpending"
        assert 'value="/probe?q=a%20b&amp;status=pending"' in client.get(led.headers["location"]).text
        answer = client.post("/sign-in", json={"key": key, "next": "/probe?q=a%20b&status=pending"}, headers=OWN)
        assert answer.json() == {"next": "/probe?q=a%20b&status=pending"}
        assert client.get("/probe").status_code == 200
        assert client.post("/probe", json={}, headers=OWN).json()["who"].startswith("Ada (key ")


def test_where_users_tokens_are_taken_pages_are_closed_without_keys_too(server: Server) -> None:
    with browser(server, **TAKES_TOKENS) as client:
        assert client.get("/probe").status_code == 303


@pytest.mark.parametrize("next", ["//evil.example", "/\\evil.example", "https://evil.example", "", "inbox", "/a\nb"])
def test_the_sign_in_leads_to_no_other_site(server: Server, key: str, next: str) -> None:
    with browser(server) as client:
        answer = client.post("/sign-in", json={"key": key, "next": next}, headers=OWN)
    assert answer.json() == {"next": "/inbox"}


def test_the_cookie_is_no_key_and_nothing_in_the_database_can_be_used_as_one(server: Server, key: str) -> None:
    with browser(server) as client:
        answer = client.post("/sign-in", json={"key": key}, headers=OWN)
        token = client.cookies[COOKIE]
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=604800"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert key not in cookie
    with psycopg.connect(server.url) as connection:
        stored = str(connection.execute("select * from private.page_sessions").fetchall())
        stored += str(connection.execute("select * from private.api_keys").fetchall())
    assert token not in stored
    assert key not in stored


def test_behind_https_the_cookie_stays_there(server: Server, key: str) -> None:
    headers = {"Origin": "https://review.example", "Host": "review.example"}
    with browser(server) as client:
        answer = client.post("/sign-in", json={"key": key}, headers=headers)
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("kind", ["app", "model"])
def test_other_keys_do_not_sign_in(server: Server, key: str, kind: KeyKind) -> None:
    other = create_key(server.url, kind, "other")
    with browser(server) as client:
        for shown in (other, "grpo_admin_00000000_x", ""):
            answer = client.post("/sign-in", json={"key": shown}, headers=OWN)
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
            assert "keys create admin" in answer.json()["detail"]


def test_a_session_ends_with_the_sign_out(server: Server, key: str) -> None:
    with browser(server) as client:
        sign_in(client, key)
        token = client.cookies[COOKIE]
        assert client.post("/sign-out", json={}, headers=OWN).json() == {"next": "/sign-in"}
        assert COOKIE not in client.cookies
        assert client.get("/probe", headers={"Cookie": f"{COOKIE}={token}"}).status_code == 303


def test_a_session_ends_with_its_key(server: Server, key: str) -> None:
    with browser(server) as client:
        sign_in(client, key)
        revoke_key(server.url, list_keys(server.url)[0].id)
        assert client.get("/probe").status_code == 303
        lost = client.post("/probe", json={}, headers=OWN)
        assert (lost.status_code, lost.json()["title"]) == (401, "Unauthorized")


def test_a_session_ends_by_itself(server: Server, key: str) -> None:
    with browser(server) as client:
        sign_in(client, key)
        with psycopg.connect(server.url) as connection:
            connection.execute("update private.page_sessions set expires_at = now()")
        assert client.get("/probe").status_code == 303
        sign_in(client, key)
        with psycopg.connect(server.url) as connection:
            assert connection.execute("select count(*) from private.page_sessions").fetchone() == (1,)


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_what_a_foreign_page_sends_is_refused(server: Server, key: str, headers: dict[str, str]) -> None:
    with browser(server) as client:
        assert client.post("/sign-in", json={"key": key}, headers=headers).status_code == 403
        sign_in(client, key)
        for path in ("/probe", "/sign-out"):
            assert client.post(path, json={}, headers=headers).status_code == 403
        assert client.get("/probe").status_code == 200


def test_a_form_of_a_foreign_page_is_refused_too(server: Server, key: str) -> None:
    with browser(server) as client:
        sign_in(client, key)
        assert client.post("/probe", data={"a": "b"}, headers=OWN).status_code == 415


def test_who_asks_too_often_waits(server: Server, key: str) -> None:
    with browser(server, key_requests_per_minute=3) as client:
        sign_in(client, key)
        assert [client.get("/probe").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_only_scripts_and_styles_of_this_server_run_on_pages(server: Server) -> None:
    with browser(server) as client:
        looked = client.get("/probe")
        for path in ("/static/pages.js", "/static/pages.css"):
            assert client.get(path).headers["x-content-type-options"] == "nosniff"
    policy = looked.headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert looked.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in looked.text
    assert "style=" not in looked.text


def test_what_is_shown_is_text_and_never_markup(server: Server, key: str) -> None:
    with browser(server) as client:
        shown = client.get("/sign-in", params={"next": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown
