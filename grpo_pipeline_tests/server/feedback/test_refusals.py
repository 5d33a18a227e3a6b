from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.feedback.posts import edit, post, rows

PATH = "/api/agent/feedback"
SECRET = "my-very-private-words"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    postgres = request.getfixturevalue("postgres_server")
    with postgres.fresh_database("migrated") as url:
        yield Server(tmp_path_factory.mktemp("home"), url)


@pytest.fixture(scope="module")
def client(shared: Server) -> Iterator[TestClient]:
    with shared.client(add_users=True) as client:
        yield client


BAD = {
    "no prompt": post(prompt=None),
    "an empty prompt": post(prompt=""),
    "an empty conversation": post(prompt=[]),
    "a message without a role": post(prompt=[{"content": SECRET}]),
    "no response": post(response=None),
    "a number as response": post(response=5),
    "an unknown type": post(feedbackType=SECRET),
    "an edit without corrections": edit(corrections=None),
    "an edit with blank corrections": edit(corrections="  \n"),
    "a rating without a score": post(feedbackType="rating"),
    "a score of 0": post(score=0),
    "a score of 5.01": post(score=5.01),
    "a score in words": post(score="five"),
    "a score that is true": post(score=True),
    "a NUL in the prompt": post(prompt=f"{SECRET}\0"),
    "a NUL in the metadata": post(metadata={"a": f"{SECRET}\0"}),
    "a NUL in a name of the metadata": post(metadata={f"{SECRET}\0": 1}),
    "half a surrogate pair": post(response=f"{SECRET}\ud800"),
    "half a surrogate pair in the tools": post(tools=[{"name": f"{SECRET}\udfff"}]),
    "a response that is too long": post(response=SECRET * 20_000),
    "a response that is too long in bytes": post(response="\U0001f600" * 70_000),
    "metadata that are too large": post(metadata={"a": "x" * 70_000}),
    "metadata that are larger as the database writes them": post(metadata={"a": [1e300] * 500}),
    "metadata that are a list": post(metadata=[SECRET]),
    "tools that are texts": post(tools=[SECRET]),
    "a session id that is too long": post(sessionId="s" * 201),
    "a user id that is none": post(userId=f"{SECRET}'; drop table agent_feedback; --"),
    "an unknown field": post(**{SECRET: 1}),
    "an idempotency key that is too long": post(idempotencyKey="k" * 201),
    "a dry run in words": post(dryRun="yes"),
    "a list": [post()],
    "a text": SECRET,
    "nothing": None,
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_what_cannot_be_kept_is_refused_and_not_repeated(
    client: TestClient, shared: Server, sent: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "grpo_pipeline"):
        answer = client.post(PATH, content=json.dumps(sent), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert SECRET not in answer.text
    assert SECRET not in caplog.text
    assert rows(shared.url) == []


BROKEN = {
    "no JSON": b"{'prompt': 1}",
    "half of it": b'{"prompt": "a',
    "other bytes": b"\xff\xfe\x00",
    "endless brackets": b"[" * 100_000,
    "an endless number": b'{"score": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_what_is_no_json_is_refused(client: TestClient, sent: bytes) -> None:
    answer = client.post(PATH, content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize("place", ['"score": {}', '"metadata": {{"a": {}}}', '"tools": [{{"a": [{}]}}]'])
def test_a_number_that_is_none_is_refused(client: TestClient, number: str, place: str) -> None:
    body = json.dumps(post())[:-1] + ", " + place.format(number) + "}"
    assert client.post(PATH, content=body, headers={"Content-Type": "application/json"}).status_code == 422


HOSTILE = [
    "'; drop table agent_feedback; --",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "$1 %s %(a)s {0} {{a}} ${jndi:ldap://x}",
    "\\' \\\\ \\u0041 \\x00 \t\r\n",
    "written out as \\u0000",
    "\U0001f600 \u202e\u0000"[:-1] + " é 漢字",
]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_in_every_field_are_only_words(server: Server, words: str) -> None:
    sent = post(
        prompt=words, response=words, corrections=words, feedbackType="edit", modelVersion=words, sessionId=words,
        idempotencyKey=words, tools=[{words: words}], metadata={words: [words]},
    )  # fmt: skip
    with server.client(add_users=True) as client:
        assert client.post(PATH, json=sent).status_code == 201
        assert client.post(PATH, json=sent).json()["outcome"] == "repeated"
    (row,) = rows(server.url)
    texts = ("prompt", "response", "corrections", "model_version", "session_id")
    assert {row[name] for name in texts} == {words}
    assert (row["tools"], row["metadata"]) == ([{words: words}], {words: [words]})
    (pair,) = rows(server.url, "public.preference_pairs")
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == (words, words, words)
