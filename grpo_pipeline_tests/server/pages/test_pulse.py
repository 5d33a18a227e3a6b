from __future__ import annotations

from datetime import UTC, datetime

from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.monitoring.database import CHALLENGER, CHAMPION
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.pages.in_use import fill
from grpo_pipeline_tests.weekly_feedback import add_edits


def test_an_empty_database_has_a_pulse_too(server: Server) -> None:
    with server.client() as client:
        answer = client.get("/pulse")
    assert answer.status_code == 200
    assert "No challenger is tried." in answer.text
    assert "No feedback yet." in answer.text
    assert "0 of 100" in answer.text


def test_the_pulse_shows_success_by_version_the_test_and_what_waits(server: Server) -> None:
    fill(server, success=0.3)
    add_edits(server.url, Week.containing(datetime.now(UTC)), 7)
    with server.client() as client:
        text = client.get("/pulse").text
    assert f"{CHALLENGER} against {CHAMPION}" in text
    assert "Credibly worse: success 0." in text
    assert "33.3 % of the traffic since" in text
    assert "were expected (chi-square, p = " in text
    assert ">with tools<" in text
    assert "and 7 in the week that is not over" in text
    # The last version is of another artifact store than this one.
    assert "pair_ids.parquet is missing" in text
    assert text.count("data:image/png;base64,") == 3
    assert "a secret prompt" not in text


def test_looking_changes_nothing(server: Server) -> None:
    fill(server, success=0.3)
    with server.client() as client:
        client.get("/pulse")
        assert client.get("/models").text.count("33.3 %") == 2


def test_the_pages_are_for_reviewers(server: Server) -> None:
    create_key(server.url, "admin", "Ada")
    with server.client() as client:
        for path in ("/pulse", "/models", f"/models/{CHALLENGER}"):
            answer = client.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in")
