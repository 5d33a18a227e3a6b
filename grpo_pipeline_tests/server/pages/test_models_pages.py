from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.registry.changes import model_changes
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.traffic import challengers
from grpo_pipeline_tests.monitoring.database import CHALLENGER, CHAMPION, FIRST
from grpo_pipeline_tests.server.conftest import LOCAL, Server
from grpo_pipeline_tests.server.pages.in_use import MARKUP, fill

OWN = {"Origin": LOCAL}


@pytest.fixture
def filled(server: Server) -> Iterator[TestClient]:
    fill(server)
    with server.client() as client:
        yield client


def champion(server: Server) -> str:
    found = ModelRegistry(server.url).champion()
    assert found is not None
    return found.version


def test_an_empty_registry_has_a_page_too(server: Server) -> None:
    with server.client() as client:
        text = client.get("/models").text
    assert "Nothing was trained yet." in text
    assert "Roll back" not in text


def test_the_models_page_shows_who_is_in_use_the_shares_and_the_history(filled: TestClient) -> None:
    text = filled.get("/models").text
    assert f"Roll {CHAMPION} back" in text
    assert "66.7 %" in text
    assert f"replaced by {CHAMPION}" in text
    assert f'href="/models/{CHALLENGER}"' in text


def test_a_version_shows_its_evaluation_and_the_answers_side_by_side(filled: TestClient) -> None:
    text = filled.get(f"/models/{CHALLENGER}").text
    assert text.count("data:image/png;base64,") == 2
    assert "contrastive similarity" in text
    assert "The base answers pair-00" in text
    assert "The incumbent answers pair-09" in text
    assert "The candidate answers pair-00" in text
    assert "Correction 0" in text
    assert "pair-10" not in text
    later = filled.get(f"/models/{CHALLENGER}?prompts=1").text
    assert "The base answers pair-11" in later
    assert "Earlier prompts" in later
    assert "Later prompts" not in later


def test_what_users_and_models_wrote_is_text_and_nothing_else(filled: TestClient) -> None:
    answer = filled.get(f"/models/{CHALLENGER}")
    assert MARKUP not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_a_version_without_an_evaluation_and_one_that_does_not_exist(filled: TestClient) -> None:
    assert "Nothing is kept of an evaluation" in filled.get(f"/models/{FIRST}").text
    assert filled.get("/models/nothing").status_code == 404


def test_a_version_is_promoted_with_a_reason_and_rolled_back_with_one(filled: TestClient, server: Server) -> None:
    promote = f"/models/{CHALLENGER}/promote"
    assert filled.post(promote, json={"reason": ""}, headers=OWN).status_code == 422
    assert filled.post(promote, json={"reason": "looked at by me"}, headers=OWN).json() == {"next": "/models"}
    assert champion(server) == CHALLENGER
    body = {"reason": "answers got longer", "of": CHALLENGER}
    assert filled.post("/models/rollback", json=body, headers=OWN).status_code == 200
    assert champion(server) == CHAMPION
    assert [change.changed_by for change in model_changes(server.url)[-4:]] == ["local"] * 4
    again = filled.post("/models/rollback", json=body, headers=OWN)
    assert (again.status_code, champion(server)) == (409, CHAMPION)
    assert "not the champion any more" in again.json()["detail"]


def test_a_refused_promotion_says_why_and_a_person_may_insist(filled: TestClient, server: Server) -> None:
    refused = filled.post(f"/models/{FIRST}/promote", json={"reason": "I liked it"}, headers=OWN)
    assert refused.status_code == 409
    assert "older than the champion" in refused.json()["detail"]
    forced = filled.post(f"/models/{FIRST}/promote", json={"reason": "I liked it", "force": "on"}, headers=OWN)
    assert (forced.status_code, champion(server)) == (200, FIRST)


def test_a_share_is_set_and_ended(filled: TestClient, server: Server) -> None:
    share = {"version": CHALLENGER, "percent": "12.5", "reason": "carefully"}
    assert filled.post("/models/share", json=share, headers=OWN).status_code == 200
    assert [(item.version, item.share) for item in challengers(server.url)] == [(CHALLENGER, 0.125)]
    assert filled.post("/models/share", json={**share, "percent": "100"}, headers=OWN).status_code == 422
    assert filled.post("/models/share", json={**share, "version": CHAMPION}, headers=OWN).status_code == 409
    assert filled.post("/models/share", json={**share, "percent": "0"}, headers=OWN).status_code == 200
    assert challengers(server.url) == []
    assert model_changes(server.url)[-1].reason == "carefully"


def test_nothing_is_changed_from_another_page(filled: TestClient, server: Server) -> None:
    before = model_changes(server.url)
    foreign = {"Origin": "https://evil.example"}
    share = {"version": CHALLENGER, "percent": "50", "reason": "x"}
    for path, body in (
        (f"/models/{CHALLENGER}/promote", {"reason": "x"}),
        ("/models/rollback", {"reason": "x", "of": CHAMPION}),
        ("/models/share", share),
    ):
        assert filled.post(path, json=body, headers=foreign).status_code == 403
    assert model_changes(server.url) == before
