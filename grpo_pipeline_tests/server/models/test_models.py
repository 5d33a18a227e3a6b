from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.traffic import set_share
from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline_tests.registry.models import model
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.tokens import TAKES_TOKENS, USER, bearer, token

OLD, NEW, BAD = "2026-11-02-aaaa1111", "2026-11-09-aaaa1111", "2026-11-16-aaaa1111"


@pytest.fixture
def registry(database_url: str) -> ModelRegistry:
    registry = ModelRegistry(database_url)
    for week, status in (("2026-11-02", "pass"), ("2026-11-09", "pass"), ("2026-11-16", "fail")):
        registry.register(model(week, status=status))  # type: ignore[arg-type]
    return registry


@pytest.fixture
def local(server: Server) -> Iterator[TestClient]:
    with server.client() as client:
        yield client


def test_before_the_first_promotion_there_is_no_champion_and_the_base_model_answers(local: TestClient) -> None:
    assert local.get("/api/models").json() == {"models": []}
    assert local.get("/api/models/champion").status_code == 404
    assert local.get("/api/assign?userId=u").json() == {"modelVersion": None, "role": "base"}
    answer = local.post("/api/models/rollback", json={"reason": "worse"})
    assert (answer.status_code, "no champion to roll back" in answer.json()["detail"]) == (409, True)


@pytest.mark.usefixtures("registry")
def test_promotion_and_rollback_change_who_answers_at_once(local: TestClient) -> None:
    for version in (OLD, NEW):
        answer = local.post(f"/api/models/{version}/promote", json={"reason": "better"}).json()
        assert (answer["outcome"], answer["champion"]["version"]) == ("promoted", version)
        assert local.get("/api/models/champion").json()["version"] == version
        assert local.get("/api/assign?userId=u").json() == {"modelVersion": version, "role": "champion"}
    again = local.post(f"/api/models/{NEW}/promote", json={"reason": "better"}).json()
    assert again["outcome"] == "already_champion"
    back = local.post("/api/models/rollback", json={"reason": "worse"}).json()
    assert (back["champion"]["version"], back["previous"]["version"]) == (OLD, NEW)
    assert local.get("/api/assign?userId=u").json()["modelVersion"] == OLD


@pytest.mark.usefixtures("registry")
def test_a_version_that_did_not_pass_is_refused_with_the_reason_unless_forced(local: TestClient) -> None:
    refused = local.post(f"/api/models/{BAD}/promote", json={"reason": "hope"})
    assert refused.status_code == 409
    assert "did not pass its evaluation (fail: 3 points better" in refused.json()["detail"]
    forced = local.post(f"/api/models/{BAD}/promote", json={"reason": "hope", "force": True}).json()
    assert (forced["champion"]["version"], forced["champion"]["promotedBy"]) == (BAD, "this machine")


@pytest.mark.usefixtures("registry")
def test_the_list_shows_verdicts_and_metrics(local: TestClient) -> None:
    found = local.get("/api/models").json()["models"]
    assert [item["version"] for item in found] == [BAD, NEW, OLD]
    assert found[0]["verdict"]["status"] == "fail"
    assert found[0]["metrics"]["preference_accuracy"]["candidate"] == 0.61
    assert found[0]["baseModel"] == "tiny"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nothing/promote", {"reason": "x"}, 404),
        ("a%20b/promote", {"reason": "x"}, 422),
        (f"{OLD}/promote", {}, 422),
        (f"{OLD}/promote", {"reason": "x", "force": "yes"}, 422),
        ("rollback", {"reason": ""}, 422),
        ("rollback", {"reason": "x\0"}, 422),
    ],
)
@pytest.mark.usefixtures("registry")
def test_what_cannot_be_done_is_explained(local: TestClient, path: str, body: dict[str, object], status: int) -> None:
    assert local.post(f"/api/models/{path}", json=body).status_code == status


@pytest.mark.usefixtures("registry")
def test_a_challenger_gets_its_share_of_the_users_and_each_keeps_his(server: Server) -> None:
    ModelRegistry(server.url).promote(OLD, "test", "better")
    set_share(server.url, NEW, 0.5, "test")
    with server.client() as client:
        given = [[client.get(f"/api/assign?userId=u{n}").json() for n in range(60)] for _ in range(2)]
    assert given[0] == given[1]
    assert {(item["modelVersion"], item["role"]) for item in given[0]} == {(OLD, "champion"), (NEW, "challenger")}


def test_who_may_ask_for_what(server: Server) -> None:
    keys = {kind: bearer(create_key(server.url, kind, "test")) for kind in ("app", "model", "admin")}
    with server.client(**TAKES_TOKENS) as client:
        headers = {**keys, "user": bearer(token())}
        codes = {
            name: [
                client.get("/api/models", headers=shown).status_code,
                client.get("/api/models/champion", headers=shown).status_code,
                client.get("/api/assign", params={"userId": USER}, headers=shown).status_code,
                client.post("/api/models/rollback", json={"reason": "x"}, headers=shown).status_code,
            ]
            for name, shown in headers.items()
        }
        assert client.get("/api/assign?userId=someone-else", headers=bearer(token())).status_code == 403
        assert client.get("/api/assign", headers=bearer(token())).status_code == 200
        assert client.get("/api/assign", headers=keys["app"]).status_code == 422
    assert codes == {
        "app": [403, 403, 200, 403],
        "model": [403, 404, 403, 403],
        "admin": [200, 404, 403, 409],
        "user": [403, 403, 200, 403],
    }
