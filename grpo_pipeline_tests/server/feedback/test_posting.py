from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.feedback.posts import add_user, edit, post, rows
from grpo_pipeline_tests.server.tokens import TAKES_TOKENS, USER, bearer, token

PATH = "/api/agent/feedback"
OTHER = "0d8a4f1c-7b21-4f43-9d0e-6f5a3c0e6c3b"


@pytest.fixture
def client(server: Server) -> Iterator[TestClient]:
    with server.client(add_users=True) as client:
        yield client


def test_feedback_is_kept_as_it_was_posted(client: TestClient, server: Server) -> None:
    sent = edit(
        score=5,
        modelVersion="2026-11-02-1f0c9a7e",
        sessionId="s 1",
        tools=[{"name": "search"}],
        metadata={"a": [1, None]},
    )
    answer = client.post(PATH, json=sent)
    assert (answer.status_code, answer.json()["outcome"], answer.json()["dryRun"]) == (201, "recorded", False)
    (row,) = rows(server.url)
    assert str(row["id"]) == answer.json()["id"]
    assert (str(row["user_id"]), row["session_id"], row["feedback_type"], row["score"]) == (USER, "s 1", "edit", 5)
    assert (row["prompt"], row["response"]) == ("Analyze @Ramp", "Simple analysis")
    assert (row["corrections"], row["model_version"]) == ("Deep analysis with metrics", "2026-11-02-1f0c9a7e")
    assert (row["tools"], row["metadata"]) == ([{"name": "search"}], {"a": [1, None]})


def test_an_edit_is_a_pair_in_the_same_breath(client: TestClient, server: Server) -> None:
    receipt = client.post(PATH, json=edit()).json()
    (pair,) = rows(server.url, "public.preference_pairs")
    assert (str(pair["id"]), str(pair["feedback_id"])) == (receipt["pairId"], receipt["id"])
    assert (pair["chosen"], pair["rejected"]) == ("Deep analysis with metrics", "Simple analysis")
    assert client.post(PATH, json=post()).json()["pairId"] is None


def test_a_changed_vote_replaces_the_one_before_and_both_are_known(client: TestClient, server: Server) -> None:
    first = client.post(PATH, json=post()).json()
    second = client.post(PATH, json=post(feedbackType="thumbs_down"))
    third = client.post(PATH, json=post(feedbackType="rating", score=2)).json()
    assert (second.status_code, second.json()["outcome"], third["outcome"]) == (200, "replaced", "replaced")
    assert first["id"] == second.json()["id"] == third["id"]
    (row,) = rows(server.url)
    assert (row["feedback_type"], row["score"]) == ("rating", 2)
    history = rows(server.url, "public.agent_feedback_history")
    assert [item["feedback_type"] for item in history] == ["thumbs_up", "thumbs_down"]


def test_the_same_vote_again_changes_nothing(client: TestClient, server: Server) -> None:
    client.post(PATH, json=post())
    before = rows(server.url)
    again = client.post(PATH, json=post())
    assert (again.status_code, again.json()["outcome"]) == (200, "repeated")
    assert rows(server.url) == before
    assert rows(server.url, "public.agent_feedback_history") == []


def test_a_changed_edit_changes_its_pair(client: TestClient, server: Server) -> None:
    client.post(PATH, json=edit())
    receipt = client.post(PATH, json=edit(corrections="Deeper still")).json()
    (pair,) = rows(server.url, "public.preference_pairs")
    assert (receipt["outcome"], str(pair["id"]), pair["chosen"]) == ("replaced", receipt["pairId"], "Deeper still")


def test_a_vote_an_edit_and_a_comment_on_one_response_stand_beside_each_other(
    client: TestClient, server: Server
) -> None:
    for sent in (post(), edit(), post(feedbackType="comment", corrections="too short")):
        assert client.post(PATH, json=sent).json()["outcome"] == "recorded"
    assert len(rows(server.url)) == 3


@pytest.mark.parametrize(
    "changed",
    [{"userId": OTHER}, {"response": "Another"}, {"prompt": "Another"}, {"modelVersion": "v2"}],
    ids=lambda changed: next(iter(changed)),
)
def test_another_user_or_response_is_another_vote(client: TestClient, server: Server, changed: dict[str, str]) -> None:
    client.post(PATH, json=post())
    assert client.post(PATH, json=post(**changed)).json()["outcome"] == "recorded"
    assert len(rows(server.url)) == 2


def test_a_session_stands_for_a_user_whom_nobody_knows(client: TestClient, server: Server) -> None:
    anonymous = post(userId=None, sessionId="s 1")
    outcomes = [client.post(PATH, json=sent).json()["outcome"] for sent in (anonymous, anonymous)]
    assert outcomes == ["recorded", "repeated"]
    assert client.post(PATH, json=post(userId=None, sessionId="s 2")).json()["outcome"] == "recorded"
    assert len(rows(server.url)) == 2


def test_where_nobody_knows_who_votes_only_a_key_tells_a_repeat(client: TestClient, server: Server) -> None:
    nobody = post(userId=None)
    assert [client.post(PATH, json=nobody).json()["outcome"] for _ in range(2)] == ["recorded", "recorded"]
    first, again = (client.post(PATH, json=nobody, headers={"Idempotency-Key": "k"}).json() for _ in range(2))
    assert (first["outcome"], again["outcome"]) == ("recorded", "repeated")
    assert first["id"] == again["id"]
    assert len(rows(server.url)) == 3


def test_a_request_that_comes_again_late_does_not_undo_a_newer_vote(client: TestClient, server: Server) -> None:
    early = post(idempotencyKey="1")
    client.post(PATH, json=early)
    client.post(PATH, json=post(feedbackType="thumbs_down", idempotencyKey="2"))
    assert client.post(PATH, json=early).json()["outcome"] == "repeated"
    (row,) = rows(server.url)
    assert row["feedback_type"] == "thumbs_down"


def test_a_key_that_was_used_for_something_else_is_refused(client: TestClient, server: Server) -> None:
    client.post(PATH, json=post(idempotencyKey="1"))
    answer = client.post(PATH, json=post(idempotencyKey="1", response="Another"))
    assert answer.status_code == 409
    assert len(rows(server.url)) == 1
    assert client.post(PATH, json=post(idempotencyKey="1", userId=OTHER)).status_code == 201


@pytest.mark.parametrize("sent", [post(), edit()], ids=["vote", "edit"])
def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    client: TestClient, server: Server, sent: dict[str, object]
) -> None:
    dry = client.post(PATH, json={**sent, "dryRun": True, "idempotencyKey": "k"})
    assert (dry.status_code, dry.json()["outcome"], dry.json()["dryRun"]) == (200, "recorded", True)
    for table in ("public.agent_feedback", "public.preference_pairs", "private.feedback_requests", "auth.users"):
        assert rows(server.url, table) == []
    real = client.post(PATH, json={**sent, "idempotencyKey": "k"}).json()
    assert {**real, "dryRun": True} == dry.json()


def test_a_conversation_is_a_prompt_too(client: TestClient, server: Server) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Analyze @Ramp"}]
    client.post(PATH, json=post(prompt=messages))
    assert (
        client.post(PATH, json=post(prompt=json.dumps(messages, separators=(",", ":")))).json()["outcome"] == "repeated"
    )
    client.post(PATH, json=post(prompt=[{"role": "user", "content": "Analyze @Ramp"}]))
    assert {row["prompt"] for row in rows(server.url)} == {
        json.dumps(messages, separators=(",", ":")),
        "Analyze @Ramp",
    }


def test_deleted_feedback_can_be_given_again_and_is_then_no_deleted_row(client: TestClient, server: Server) -> None:
    client.post(PATH, json=edit(idempotencyKey="1"))
    client.post(PATH, json=edit(idempotencyKey="2", corrections="Deeper"))
    with psycopg.connect(server.url) as connection:
        connection.execute("delete from auth.users")
    for table in ("agent_feedback", "agent_feedback_history", "preference_pairs"):
        assert rows(server.url, f"public.{table}") == []
    assert rows(server.url, "private.feedback_requests") == []
    assert len(rows(server.url, "public.feedback_tombstones")) == 2
    assert client.post(PATH, json=edit()).json()["outcome"] == "recorded"
    assert rows(server.url, "public.feedback_tombstones") == []


def test_a_user_writes_for_himself_alone(server: Server) -> None:
    add_user(server.url)
    with server.client(**TAKES_TOKENS) as client:
        assert client.post(PATH, json=post()).status_code == 401
        mine = client.post(PATH, json=post(userId=None), headers=bearer(token()))
        same = client.post(PATH, json=post(), headers=bearer(token()))
        others = client.post(PATH, json=post(userId=OTHER), headers=bearer(token()))
        gone = client.post(PATH, json=post(userId=None), headers=bearer(token(sub=OTHER)))
    assert (mine.status_code, same.json()["outcome"], others.status_code) == (201, "repeated", 403)
    assert (gone.status_code, gone.json()["detail"]) == (422, "There is no such user in the database.")
    (row,) = rows(server.url)
    assert str(row["user_id"]) == USER


def test_an_app_writes_and_neither_a_model_nor_an_administrator_does(server: Server) -> None:
    add_user(server.url)
    keys = {kind: create_key(server.url, kind, "test") for kind in ("app", "model", "admin")}
    with server.client() as client:
        codes = {kind: client.post(PATH, json=post(), headers=bearer(key)).status_code for kind, key in keys.items()}
    assert codes == {"app": 201, "model": 403, "admin": 403}


def test_one_bad_row_does_not_spoil_the_batch_it_is_in(server: Server) -> None:
    add_user(server.url)
    with server.client(add_users=False) as client:
        good = client.post(PATH, json=post())
        bad = client.post(PATH, json=post(userId=str(uuid.uuid4())))
        after = client.post(PATH, json=edit())
    assert (good.status_code, bad.status_code, after.status_code) == (201, 422, 201)


def test_feedback_goes_through_a_transaction_pooler(tmp_path: Path, pgbouncer_url: str) -> None:
    with Server(tmp_path, pgbouncer_url).client(add_users=True) as client:
        codes = [client.post(PATH, json=edit(response=str(number))).status_code for number in range(12)]
        assert client.post(PATH, json=edit(dryRun=True)).json()["outcome"] == "recorded"
        assert client.get("/api/stats").json()["feedback"] == {"edit": 12}
    assert codes == [201] * 12
