from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import psycopg
import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline_tests.server.conftest import LOCAL, Server
from grpo_pipeline_tests.server.pages.reviewing import OWN, add_pair, add_pairs, audit, post, seen, stored


def decide(client: TestClient, url: str, action: str, *ids: str) -> dict[str, object]:
    answer = post(client, "decide", {"action": action, "pairs": seen(url, *ids)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def edit(client: TestClient, url: str, identity: str, chosen: str) -> int:
    return int(post(client, "edit", {**seen(url, identity)[0], "chosen": chosen}).status_code)


@pytest.mark.parametrize(("action", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_is_stored_with_who_when_and_what_was_before(
    server: Server, client: TestClient, action: str, status: str
) -> None:
    identity = add_pair(server.url)
    answer = decide(client, server.url, action, identity)
    now = stored(server.url, identity)
    assert (now.status, now.by) == (status, "local")
    (entry,) = audit(server.url)
    assert (str(entry["pair_id"]), entry["decided_by"], entry["action"]) == (identity, "local", action)
    assert (entry["before"]["status"], entry["before"]["by"], entry["before"]["at"]) == ("pending", None, None)
    assert (entry["after"]["status"], entry["after"]["by"]) == (status, "local")
    assert datetime.fromisoformat(entry["after"]["at"]) == now.at
    assert "chosen" not in entry["after"]
    assert answer["message"] == f"1 pair {status}."
    assert f'data-version="{now.version}"' in str(answer["pairs"])


def test_a_decision_is_kept_under_the_name_of_the_key(server: Server) -> None:
    identity = add_pair(server.url)
    key = create_key(server.url, "admin", "Ada")
    with server.client() as client:
        client.post("/sign-in", json={"key": key}, headers=OWN)
        decide(client, server.url, "approve", identity)
    assert (stored(server.url, identity).by or "").startswith("Ada (key ")
    assert audit(server.url)[0]["decided_by"] == stored(server.url, identity).by


def test_an_edited_correction_is_approved_and_both_texts_are_kept(server: Server, client: TestClient) -> None:
    identity = add_pair(server.url, chosen="Deep analysys")
    asked = client.get(f"/inbox/pairs/{identity}").json()
    assert asked == {"chosen": "Deep analysys", "version": stored(server.url, identity).version}
    assert edit(client, server.url, identity, "Deep analysis") == 200
    now = stored(server.url, identity)
    assert (now.status, now.chosen) == ("approved", "Deep analysis")
    (entry,) = audit(server.url)
    assert (entry["action"], entry["before"]["chosen"], entry["after"]["chosen"]) == (
        "edit",
        "Deep analysys",
        "Deep analysis",
    )


@pytest.mark.parametrize("chosen", ["", "  \n", "a\0b", "x" * 300_000])
def test_an_answer_that_cannot_be_kept_is_refused(server: Server, client: TestClient, chosen: str) -> None:
    identity = add_pair(server.url)
    assert edit(client, server.url, identity, chosen) == 422
    assert audit(server.url) == []


def test_undo_takes_back_one_decision_after_the_other_and_is_audited_too(server: Server, client: TestClient) -> None:
    identity = add_pair(server.url, chosen="First")
    decide(client, server.url, "reject", identity)
    rejected = stored(server.url, identity)
    edit(client, server.url, identity, "Second")
    assert post(client, "undo", {}).status_code == 200
    back = stored(server.url, identity)
    assert (back.status, back.by, back.at, back.chosen) == ("rejected", "local", rejected.at, "First")
    assert post(client, "undo", {}).status_code == 200
    back = stored(server.url, identity)
    assert (back.status, back.by, back.at) == ("pending", None, None)
    done = post(client, "undo", {})
    assert (done.status_code, done.json()["detail"]) == (409, "There is nothing of yours to undo.")
    entries = audit(server.url)
    assert [entry["action"] for entry in entries] == ["reject", "edit", "undo", "undo"]
    assert [entry["undoes"] for entry in entries] == [None, None, entries[1]["id"], entries[0]["id"]]
    assert (entries[2]["before"]["chosen"], entries[2]["after"]["chosen"]) == ("Second", "First")
    assert entries[2]["after"] == {**entries[0]["after"], "chosen": "First"}


def test_a_decision_after_an_undo_can_be_undone_in_its_turn(server: Server, client: TestClient) -> None:
    one, other = add_pair(server.url), add_pair(server.url)
    decide(client, server.url, "approve", one)
    decide(client, server.url, "approve", other)
    post(client, "undo", {})
    decide(client, server.url, "reject", other)
    post(client, "undo", {})
    post(client, "undo", {})
    assert [stored(server.url, identity).status for identity in (one, other)] == ["pending", "pending"]


def test_many_pairs_are_decided_at_once_and_undone_at_once(server: Server, client: TestClient) -> None:
    ids = add_pairs(server.url, 30)
    answer = decide(client, server.url, "approve", *ids)
    assert answer["message"] == "30 pairs approved."
    assert {stored(server.url, identity).status for identity in ids} == {"approved"}
    assert len({entry["batch"] for entry in audit(server.url)}) == 1
    assert len(audit(server.url)) == 30
    assert "30 pairs" in post(client, "undo", {}).json()["message"]
    assert {stored(server.url, identity).status for identity in ids} == {"pending"}


def test_a_pair_that_changed_since_the_reviewer_saw_it_is_left_alone(server: Server, client: TestClient) -> None:
    changed, same = add_pair(server.url), add_pair(server.url)
    body = {"action": "approve", "pairs": seen(server.url, changed, same)}
    with psycopg.connect(server.url) as connection:
        connection.execute("update preference_pairs set chosen = 'Other' where id = %s", (changed,))
    answer = post(client, "decide", body)
    assert answer.json()["message"] == "1 pair approved. 1 changed since you saw it: reload the page."
    assert (stored(server.url, changed).status, stored(server.url, same).status) == ("pending", "approved")
    refused = post(client, "decide", body)
    assert (refused.status_code, "reload" in refused.json()["detail"]) == (409, True)
    assert len(audit(server.url)) == 1


def test_a_pair_whose_text_changed_after_the_decision_is_not_undone(server: Server, client: TestClient) -> None:
    earlier, changed = add_pair(server.url), add_pair(server.url)
    decide(client, server.url, "approve", earlier)
    decide(client, server.url, "approve", changed)
    with psycopg.connect(server.url) as connection:
        connection.execute("update preference_pairs set rejected = 'Other' where id = %s", (changed,))
    assert post(client, "undo", {}).status_code == 200
    assert stored(server.url, earlier).status == "pending"
    assert post(client, "undo", {}).status_code == 409


def test_nobody_undoes_what_somebody_else_decided(server: Server) -> None:
    identity = add_pair(server.url)
    keys = [create_key(server.url, "admin", name) for name in ("Ada", "Bea")]
    with server.client() as client:
        client.post("/sign-in", json={"key": keys[0]}, headers=OWN)
        decide(client, server.url, "approve", identity)
        client.post("/sign-in", json={"key": keys[1]}, headers=OWN)
        assert post(client, "undo", {}).status_code == 409
        decide(client, server.url, "reject", identity)
        client.post("/sign-in", json={"key": keys[0]}, headers=OWN)
        assert post(client, "undo", {}).status_code == 409
    assert stored(server.url, identity).status == "rejected"


def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(server: Server, client: TestClient) -> None:
    identity = add_pair(server.url)
    bodies = [{"action": action, "pairs": seen(server.url, identity)} for action in ("approve", "reject") * 5]
    with ThreadPoolExecutor(10) as pool:
        codes = sorted(answer.status_code for answer in pool.map(lambda body: post(client, "decide", body), bodies))
    assert codes == [200, *[409] * 9]
    assert len(audit(server.url)) == 1


def test_of_two_undos_at_once_each_decision_is_undone_once(server: Server, client: TestClient) -> None:
    identity = add_pair(server.url)
    decide(client, server.url, "approve", identity)
    with ThreadPoolExecutor(5) as pool:
        codes = sorted(pool.map(lambda _: post(client, "undo", {}).status_code, range(5)))
    assert codes == [200, 409, 409, 409, 409]
    assert [entry["action"] for entry in audit(server.url)] == ["approve", "undo"]


def test_deleting_a_pair_deletes_what_was_decided_about_it(server: Server, client: TestClient) -> None:
    identity = add_pair(server.url)
    edit(client, server.url, identity, "What a user may want forgotten")
    with psycopg.connect(server.url) as connection:
        connection.execute("delete from preference_pairs where id = %s", (identity,))
    assert audit(server.url) == []
    assert client.get(f"/inbox/pairs/{identity}").status_code == 404


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "https://evil.example"}, {"Origin": LOCAL, "Sec-Fetch-Site": "none"}]
)
def test_no_other_site_decides(server: Server, client: TestClient, headers: dict[str, str]) -> None:
    identity = add_pair(server.url)
    bodies = {
        "decide": {"action": "approve", "pairs": seen(server.url, identity)},
        "edit": {**seen(server.url, identity)[0], "chosen": "x"},
        "undo": {},
    }
    for action, body in bodies.items():
        assert client.post(f"/inbox/{action}", json=body, headers=headers).status_code == 403
    assert audit(server.url) == []
