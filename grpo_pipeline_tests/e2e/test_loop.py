"""The whole loop over HTTP: edits come in, models are trained, judged and served, and one is taken back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import openai
import psycopg
import pytest

from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline.weeks import Week, last_complete_week
from grpo_pipeline_tests.e2e.conftest import deployed
from grpo_pipeline_tests.e2e.deployment import Deployment, wait_until
from grpo_pipeline_tests.postgres_fixtures import Server, free_port
from grpo_pipeline_tests.weekly_feedback import words

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
EDITS, PEOPLE = 120, 12
# As long as weeks are given for late rows. No week may become complete while the test runs: on a Monday at 06:00 one
# did, and the sensor rightly had the week before it extracted again first, in a run without a verdict.
GRACE_HOURS = 6 if datetime.now(UTC).hour >= 6 else 12
LAST = last_complete_week(datetime.now(UTC), timedelta(hours=GRACE_HOURS))
BEFORE = Week((LAST.start - timedelta(days=7)).date().isoformat())
OVER = {"SUCCESS", "FAILURE", "CANCELED"}
USERS = [str(uuid.UUID(int=random.Random(f"user {number}").getrandbits(128))) for number in range(PEOPLE)]
# What was posted since, as if it had been posted in an earlier week.
MOVE = """
update public.agent_feedback set created_at = %(start)s::timestamptz + (created_at - %(since)s::timestamptz)
where created_at >= %(since)s
"""


@dataclass(frozen=True)
class Loop:
    """The API with its two kinds of callers, and what it stands on."""

    dagster: Deployment
    home: Path
    url: str
    environment: dict[str, str]
    app: httpx2.Client
    admin: httpx2.Client

    def post_edits(self, week: Week, model_version: str | None) -> None:
        """Post edits of several people over HTTP, and let time pass until their week is over."""
        source, since = random.Random(week.key), datetime.now(UTC)
        for number in range(EDITS):
            edit = {
                "prompt": f"Analyze {words(source, 6)}",
                "response": f"No {words(source, 4)}.",
                "corrections": f"Grew {words(source, 4)}.",
                "feedbackType": "edit",
                "userId": USERS[number % PEOPLE],
                "modelVersion": model_version,
            }
            answer = self.app.post("/api/agent/feedback", json=edit)
            assert answer.status_code in (200, 201), answer.text
            assert answer.json()["pairId"]
        with psycopg.connect(self.url) as connection:
            moved = connection.execute(MOVE, {"start": week.start, "since": since})
            assert moved.rowcount == EDITS

    def watched(self, run: str) -> list[dict[str, Any]]:
        """Every state of a run until it is over, the last one at the end."""
        states = [self.admin.get(f"/api/grpo/runs/{run}").json()]
        while states[-1]["status"] not in OVER:
            time.sleep(1)
            states.append(self.admin.get(f"/api/grpo/runs/{run}").json())
        return states

    def champion(self) -> str | None:
        answer = self.admin.get("/api/models/champion")
        return None if answer.status_code == 404 else str(answer.json()["version"])

    def put_in_use(self, week: Week, verdict: str) -> str:
        """The version of a week, which is champion if it passed; a person promotes it where it did not."""
        models = self.admin.get("/api/models").json()["models"]
        [version] = [str(model["version"]) for model in models if model["week"] == week.key]
        assert (self.champion() == version) == (verdict == "pass")
        reason = {"reason": "in use for the test", "force": True}
        assert self.admin.post(f"/api/models/{version}/promote", json=reason).status_code == 200
        return version

    def run_of_sensor(self, week: Week) -> str | None:
        """The run that the sensor launched for a week, once there is one."""
        tags = {"dagster/sensor_name": "enough_pairs_sensor", "dagster/partition": week.key}
        found = [run for run in self.dagster.runs() if tags.items() <= run["tags"].items()]
        return str(found[0]["runId"]) if found else None

    @contextmanager
    def served(self) -> Iterator[openai.OpenAI]:
        """The real client of `serve-model`, which needs a model's key."""
        port = free_port()
        with (self.home / "served.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "grpo_pipeline", "serve-model", "--port", str(port)],
                env={**os.environ, **self.environment, "GRPO_SERVING__POLL_SECONDS": "0.5"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        key = create_key(self.url, "model", "agent")
        try:
            wait_until("a model is served", lambda: answers(f"http://127.0.0.1:{port}/healthz"), 180)
            yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0, timeout=60)
        finally:
            process.terminate()
            process.wait(timeout=60)

    def agree(self, client: openai.OpenAI) -> set[str | None]:
        """Who is in use, by everyone who says so: the registry, the assignments and the served model."""
        assigned = [self.app.get("/api/assign", params={"userId": user}).json()["modelVersion"] for user in USERS]
        question: Any = [{"role": "user", "content": "Analyze @Ramp"}]
        answer = client.chat.completions.create(model="champion", messages=question, max_tokens=2)
        return {self.champion(), answer.model, *assigned}


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture
def loop(postgres_server: Server, tmp_path: Path) -> Iterator[Loop]:
    """`grpo-pipeline dev` on an empty database, with keys."""
    with postgres_server.fresh_database("migrated") as url:
        keys = {kind: create_key(url, kind, "test") for kind in ("app", "admin")}
        more = {
            "GRPO_DATASET__MIN_NEW_PAIRS": "100",
            "GRPO_SERVER__ADD_USERS": "true",
            "GRPO_GRACE_HOURS": str(GRACE_HOURS),
        }
        with deployed(tmp_path, url, BEFORE.key, more) as (dagster, environment):
            api = f"http://127.0.0.1:{dagster.api_port}"
            wait_until("the API answers", lambda: answers(f"{api}/readyz"), 60)
            app, admin = (
                httpx2.Client(base_url=api, timeout=60, headers={"Authorization": f"Bearer {key}"})
                for key in keys.values()
            )
            with app, admin:
                yield Loop(dagster, tmp_path, url, environment, app, admin)


def test_edits_over_http_become_models_that_are_judged_and_served_and_a_rollback_takes_one_back(loop: Loop) -> None:
    # Nothing is assigned before the first promotion. A person launches the first training.
    assert loop.app.get("/api/assign", params={"userId": USERS[0]}).json() == {"modelVersion": None, "role": "base"}
    few = loop.admin.post("/api/grpo/train", json={"week": BEFORE.key})
    assert (few.status_code, "of 100 new pairs" in few.json()["detail"]) == (409, True)
    loop.post_edits(BEFORE, None)
    launched = loop.admin.post("/api/grpo/train", json={"week": BEFORE.key})
    assert (launched.status_code, launched.json()["newPairs"]) == (202, EDITS)
    run = launched.json()["runId"]
    again = loop.admin.post("/api/grpo/train", json={"week": BEFORE.key, "force": True})
    assert (again.status_code, run in again.json()["detail"]) == (409, True)
    states = loop.watched(run)
    assert states[-1]["status"] == "SUCCESS"
    assert [state["progress"] for state in states] == sorted(state["progress"] for state in states)
    assert {row["phase"] for row in states[-1]["metrics"]} >= {"GRPO"}
    first = loop.put_in_use(BEFORE, states[-1]["verdict"]["status"])
    decided = loop.admin.post("/api/grpo/train", json={"week": BEFORE.key})
    assert (decided.status_code, "decided on" in decided.json()["detail"]) == (409, True)

    # The next week's edits are on its answers, and the sensor launches by itself.
    loop.post_edits(LAST, first)
    loop.dagster.turn_on("enough_pairs_sensor")
    wait_until("the sensor launched a run", lambda: loop.run_of_sensor(LAST), 120)
    states = loop.watched(str(loop.run_of_sensor(LAST)))
    assert states[-1]["status"] == "SUCCESS"
    second = loop.put_in_use(LAST, states[-1]["verdict"]["status"])

    with loop.served() as client:
        assert loop.agree(client) == {second}
        back = loop.admin.post("/api/models/rollback", json={"reason": "answers got worse"})
        assert (back.status_code, back.json()["champion"]["version"]) == (200, first)
        wait_until("all say who is in use again", lambda: loop.agree(client) == {first}, 60)
