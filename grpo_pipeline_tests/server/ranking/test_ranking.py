from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.rewards.advantages import ScaleRewards, advantages
from grpo_pipeline.rewards.catalog import REWARDS, score, total
from grpo_pipeline.rewards.weights import DEFAULT_WEIGHTS
from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline.server.ranking import routes
from grpo_pipeline.server.ranking.rank import rank
from grpo_pipeline.server.ranking.schema import Ranking, RankingBody
from grpo_pipeline_tests.registry.models import model
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.tokens import bearer

PATH = "/api/grpo/test"
GOOD, OLD, EMPTY = "Revenue grew 20 % to 4 million", "It is fine.", ""
GROUP = {
    "prompt": "Analyze the report of this quarter",
    "responses": [OLD, GOOD, EMPTY],
    "reference": "Revenue grew 20 % to 4.1 million",
    "rejected": "It is fine.",
}


def ranked(body: RankingBody, weights: Mapping[str, float], scale: ScaleRewards = "batch") -> Ranking:
    return rank(body, body.responses or [], weights, scale)


@pytest.fixture
def local(server: Server) -> Iterator[TestClient]:
    with server.client() as client:
        yield client


def test_a_group_is_ranked_with_every_reward_by_name(local: TestClient) -> None:
    answer = local.post(PATH, json=GROUP)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["best"], found["scaleRewards"]) == (1, "batch")
    # To say again what a user corrected is worse than to say nothing.
    assert [item["rank"] for item in found["responses"]] == [3, 1, 2]
    assert found["responses"][1]["advantage"] > 0 > found["responses"][0]["advantage"]
    assert [item["name"] for item in found["responses"][0]["rewards"]] == list(DEFAULT_WEIGHTS)
    assert "similarity +" in found["responses"][1]["why"]
    meanings = {item["name"]: item["meaning"] for item in found["meanings"]}
    assert meanings["empty"] == "Says nothing: -1."


def test_the_numbers_are_those_of_training() -> None:
    body = RankingBody.model_validate(GROUP)
    columns = {
        "question": [body.prompt_text] * 3,
        "cut": [False] * 3,
        "chosen": [GROUP["reference"]] * 3,
        "rejected": [GROUP["rejected"]] * 3,
    }
    answers = body.responses or []
    totals = total(score(DEFAULT_WEIGHTS, answers, **columns), DEFAULT_WEIGHTS)
    ranking = ranked(body, DEFAULT_WEIGHTS)
    assert [item.total for item in ranking.responses] == totals
    assert [item.advantage for item in ranking.responses] == advantages(totals, "batch")


def test_without_a_reference_only_what_needs_none_applies() -> None:
    ranking = ranked(RankingBody(prompt="p", responses=["<think>a", "b"]), DEFAULT_WEIGHTS)
    applied = {item.name for item in ranking.responses[0].rewards if item.score is not None}
    assert applied == {"empty", "leaked_thinking", "truncated"}
    notes = {item.name: item.note for item in ranking.responses[0].rewards}
    assert notes["closeness"] == "needs a reference"
    assert notes["similarity"] == "needs a reference and needs the rejected answer"
    assert ranking.best == 1


def test_tool_calls_are_judged_by_the_reference() -> None:
    right, wrong = (format_tool_call(ToolCall("search", {"q": text})) for text in ("Ramp", "Brex"))
    body = RankingBody(prompt="p", responses=[wrong, right, "no call"], reference=right, tools=[{"name": "search"}])
    ranking = ranked(body, {"tool_call": 1.0}, "none")
    assert [item.rank for item in ranking.responses] == [2, 1, 3]


def test_equal_answers_share_a_rank() -> None:
    ranking = ranked(RankingBody(prompt="p", responses=["a", "a", ""]), {"empty": 1.0})
    assert [item.rank for item in ranking.responses] == [1, 1, 3]
    assert ranking.responses[0].advantage == ranking.responses[1].advantage


def test_a_group_to_which_nothing_applies_has_no_best() -> None:
    ranking = ranked(RankingBody(prompt="p", responses=["a", "b"]), {"closeness": 1.0})
    assert (ranking.best, [item.rank for item in ranking.responses]) == (None, [None, None])
    assert [item.advantage for item in ranking.responses] == [0.0, 0.0]


def test_every_reward_is_known_to_the_ranking() -> None:
    body = RankingBody.model_validate(GROUP)
    ranking = ranked(body, dict.fromkeys(REWARDS, 1.0))
    unknown = [item.name for item in ranking.responses[1].rewards if item.note and item.note.startswith("needs")]
    assert unknown == []


@pytest.mark.parametrize(
    "changed",
    [
        {"responses": ["one"]},
        {"responses": ["x"] * 33},
        {"responses": ["a", "b\0"]},
        {"prompt": ""},
        {"sample": 4},
        {"responses": None},
        {"responses": None, "sample": 1},
        {"responses": None, "sample": 33},
    ],
    ids=str,
)
def test_what_is_no_group_is_refused(local: TestClient, changed: dict[str, object]) -> None:
    assert local.post(PATH, json={**GROUP, **changed}).status_code == 422


def test_a_comparison_that_takes_too_long_is_stopped(local: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "RANK_SECONDS", 2.0)
    calls = [format_tool_call(ToolCall("t", {"a": letters * 20_000})) for letters in ("ab", "ba")]
    answer = local.post(PATH, json={"prompt": "p", "responses": calls, "reference": calls[0] + calls[1]})
    assert (answer.status_code, "shorten the answers" in answer.json()["detail"]) == (422, True)


def test_without_a_champion_there_is_nothing_to_sample_from(local: TestClient) -> None:
    answer = local.post(PATH, json={"prompt": "p", "sample": 2})
    assert (answer.status_code, "no champion" in answer.json()["detail"]) == (409, True)


def test_a_cut_answer_is_judged_as_one() -> None:
    ranking = rank(RankingBody(prompt="p", sample=2), ["a", "b"], {"truncated": 1.0}, "none", cut=[True, False])
    assert [item.rank for item in ranking.responses] == [2, 1]


def test_a_champion_that_cannot_be_loaded_is_explained(local: TestClient, server: Server) -> None:
    registry = ModelRegistry(server.url)
    registry.register(model("2026-11-02"))
    registry.promote("2026-11-02-aaaa1111", "test", "better")
    answer = local.post(PATH, json={"prompt": "my secret", "sample": 2})
    assert answer.status_code == 503
    assert "base model" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_only_administrators_rank(server: Server) -> None:
    key = create_key(server.url, "app", "test")
    with server.client() as client:
        assert client.post(PATH, json=GROUP, headers=bearer(key)).status_code == 403
