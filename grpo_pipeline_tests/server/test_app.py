from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.server.settings import ServerSettings
from grpo_pipeline_tests.server.conftest import LOCAL, Server

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"


def test_a_server_that_can_work_says_so(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}


def test_a_server_without_its_database_lives_but_is_not_ready(server: Server) -> None:
    server.url = UNREACHABLE
    with server.client() as client:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "The database does not answer."


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/openapi.json"])
def test_every_answer_tells_browsers_to_run_and_frame_nothing(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'; frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_what_is_not_there_is_a_problem_too(client: TestClient) -> None:
    missing, wrong = client.get("/nothing"), client.post("/healthz", json={})
    assert (missing.status_code, missing.json()["title"]) == (404, "Not Found")
    assert (wrong.status_code, wrong.json()["title"]) == (405, "Method Not Allowed")


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 1000):
        yield b"x" * 1000


def test_a_body_that_is_too_large_is_refused_with_and_without_a_stated_length(server: Server) -> None:
    json = {"Content-Type": "application/json"}
    with server.client(max_body_bytes=10_000) as client:
        stated = client.post("/nothing", content=b"x" * 10_001, headers=json)
        streamed = client.post("/nothing", content=chunks(11_000), headers=json)
        small = client.post("/nothing", content=chunks(9_000), headers=json)
    assert (stated.status_code, streamed.status_code, small.status_code) == (413, 413, 404)
    assert "10000 bytes" in stated.json()["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_a_foreign_page_could_send_without_asking_is_refused(client: TestClient, kind: str) -> None:
    answer = client.post("/nothing", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


def test_an_unexpected_error_tells_nobody_what_was_sent(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    app = server.app()

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the user wrote: my secret")

    with caplog.at_level(logging.DEBUG), TestClient(app, base_url=LOCAL) as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" not in caplog.text
    assert "unexpected RuntimeError in broken" in caplog.text


def test_only_named_origins_may_call_from_a_browser(server: Server) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with server.client(cors_origins="https://app.example, http://localhost:5173") as client:
        known = client.options("/nothing", headers={**asks, "Origin": "https://app.example"})
        other = client.options("/nothing", headers={**asks, "Origin": "https://evil.example"})
    assert known.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in other.headers


def test_without_named_origins_no_page_may_call(client: TestClient) -> None:
    answer = client.get("/healthz", headers={"Origin": "https://app.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origins", ["*", "app.example", "https://app.example/path", "javascript://x"])
def test_an_origin_that_is_none_is_refused(origins: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        ServerSettings(cors_origins=origins)  # type: ignore[arg-type]


def test_requests_are_counted_by_route_not_by_what_was_asked_for(client: TestClient) -> None:
    client.get("/healthz")
    client.get("/secret-name-of-a-user")
    text = client.get("/metrics").text
    assert 'grpo_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in text
    assert 'grpo_http_requests_total{method="GET",route="(none)",status="404"} 1.0' in text
    assert "secret-name" not in text
    assert "process_resident_memory_bytes" in text


def test_the_description_names_every_problem_that_an_endpoint_answers_with(server: Server) -> None:
    document = server.app().openapi()
    assert "Problem" in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            assert "500" in operation["responses"], path


def test_two_applications_in_one_process_do_not_share_counters(server: Server) -> None:
    first, second = server.app(), server.app()
    with TestClient(first) as one, TestClient(second) as other:
        one.get("/healthz")
        assert 'route="/healthz"' not in other.get("/metrics").text


def test_pipeline_errors_reach_the_caller_as_they_are(server: Server) -> None:
    app = server.app()

    @app.get("/broken")
    def broken() -> None:
        raise PipelineError("The disk is full: free some space.")

    with TestClient(app, base_url=LOCAL) as client:
        answer = client.get("/broken")
    assert (answer.status_code, answer.json()["detail"]) == (503, "The disk is full: free some space.")
