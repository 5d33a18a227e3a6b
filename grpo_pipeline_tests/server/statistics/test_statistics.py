from __future__ import annotations

import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.conversation import ToolCall, format_tool_call
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline.tool_calling.names import EVALUATION_ASSET, UNDATED
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.registry.models import model
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.feedback.posts import edit, post
from grpo_pipeline_tests.server.tokens import bearer
from grpo_pipeline_tests.weekly_feedback import add_edits


def test_an_empty_database_has_statistics_too(server: Server) -> None:
    with server.client() as client:
        assert client.get("/api/stats").json() == {"feedback": {}, "pairs": {}, "weeks": [], "models": []}
        tools = client.get("/api/grpo/tool-calling-stats").json()
    assert (tools["feedbackWithTools"], tools["successRateWithTools"], tools["champion"]) == (0, None, None)


def test_feedback_is_counted_by_type_status_week_and_model_version(server: Server) -> None:
    add_edits(server.url, Week("2026-11-02"), 3)
    votes = [("v1", "thumbs_up", None), ("v1", "thumbs_up", None), ("v1", "thumbs_down", None), ("v2", "rating", 5),
             ("v2", "rating", 1), ("v2", "rating", 3), ("v2", "comment", None)]  # fmt: skip
    with server.client(add_users=True) as client:
        for number, (version, kind, score) in enumerate(votes):
            sent = post(modelVersion=version, feedbackType=kind, score=score, response=str(number))
            assert client.post("/api/agent/feedback", json=sent).status_code == 201
        found = client.get("/api/stats").json()
    assert found["feedback"] == {"edit": 3, "thumbs_up": 2, "thumbs_down": 1, "rating": 3, "comment": 1}
    assert found["pairs"] == {"pending": 3}
    assert found["weeks"][-1] == {"week": "2026-11-02", "feedback": 3, "pairs": 3}
    rates = {item["modelVersion"]: item for item in found["models"]}
    assert (rates["v1"]["votes"], rates["v1"]["successRate"]) == (3, pytest.approx(2 / 3))
    assert 0.2 < rates["v1"]["low"] < 2 / 3 < rates["v1"]["high"] < 0.95
    # A rating of 3 says neither up nor down, as in curation.
    assert (rates["v2"]["votes"], rates["v2"]["successRate"], rates["v2"]["meanScore"]) == (2, 0.5, 3)
    assert (rates[None]["votes"], rates[None]["successRate"], rates[None]["edits"]) == (0, None, 3)


def test_tool_calls_are_counted_where_tools_were_offered(server: Server) -> None:
    registry = ModelRegistry(server.url)
    registry.register(model("2026-11-02"))
    registry.promote("2026-11-02-aaaa1111", "test", "better")
    tools = [{"name": "search"}]
    calling = edit(tools=tools, corrections=format_tool_call(ToolCall("search", {"q": "Ramp"})))
    sent = [calling, edit(tools=tools, response="b"), edit(response="c"), post(tools=tools), post(response="d")]
    with server.client(add_users=True) as client:
        for item in sent:
            assert client.post("/api/agent/feedback", json=item).status_code == 201
        found = client.get("/api/grpo/tool-calling-stats").json()
    assert (found["feedbackWithTools"], found["votesWithTools"], found["successRateWithTools"]) == (3, 1, 1)
    assert (found["pairsWithTools"], found["pairsThatCall"]) == (2, 1)
    assert found["champion"] == "2026-11-02-aaaa1111"


def test_the_last_training_on_synthetic_scenarios_is_shown(server: Server) -> None:
    artifacts = ArtifactStore(server.home / "artifacts")
    verdict = {"status": "pass", "reason": "GRPO is credibly better than its warm start."}
    counts = {"held_out": 60, "right_base": 3, "right_warm_start": 40, "right_grpo": 52}
    failures = {"base": {"no_call": 57}, "warm_start": {"wrong_value": 20}, "grpo": {"wrong_value": 8}}
    with artifacts.draft(EVALUATION_ASSET) as draft:
        manifest = {"counts": counts, "failures": failures, "verdict": verdict}
        artifacts.publish(draft, EVALUATION_ASSET, UNDATED, manifest)
    with server.client() as client:
        found = client.get("/api/grpo/tool-calling-stats").json()["training"]
    assert (found["heldOut"], found["right"]) == (60, {"base": 3, "warm_start": 40, "grpo": 52})
    assert (found["failures"], found["verdict"]) == (failures, verdict)


def test_statistics_are_for_administrators(server: Server) -> None:
    key = create_key(server.url, "app", "test")
    with server.client() as client:
        for path in ("/api/stats", "/api/grpo/tool-calling-stats"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers=bearer(key)).status_code == 403
