"""The API against its own description, with whatever the description allows and much that it does not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from grpo_pipeline_tests.e2e.deployment import wait_until
from grpo_pipeline_tests.postgres_fixtures import free_port
from grpo_pipeline_tests.server.test_serving import answers

EXAMPLES = "5"
# A Dagster that does not answer is no fault of the server's: 503 says so.
CONFIG = '[checks]\nnot_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]\n'
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)
OPEN = {"/healthz", "/readyz"}


@pytest.fixture
def port(tmp_path: Path, database_url: str) -> Iterator[int]:
    """The port of a server in a process of its own, with a Dagster that does not answer."""
    port = free_port()
    environment = {
        **os.environ,
        "GRPO_HOME": str(tmp_path / "home"),
        "GRPO_DATABASE_URL": database_url,
        "GRPO_FIRST_WEEK": "2026-10-05",
        "GRPO_SERVER__PORT": str(port),
        "GRPO_SERVER__ADD_USERS": "true",
        "GRPO_SERVER__DAGSTER_URL": f"http://127.0.0.1:{free_port()}",
    }
    with subprocess.Popen([sys.executable, "-m", "grpo_pipeline", "serve"], env=environment) as process:
        wait_until("the server answers", lambda: answers(port), 60)
        yield port
        process.send_signal(signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_that_the_description_allows_or_forbids_breaks_the_server_or_is_answered_otherwise(
    port: int, tmp_path: Path
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    program = str(Path(sys.executable).parent / "schemathesis")
    command = [program, "--config-file", str(config), "run", f"http://127.0.0.1:{port}/openapi.json"]
    options = ["--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", "1", "--no-color"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    passed = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-6000:]
    assert int(passed[1]) == int(passed[2]) > 200


def test_every_endpoint_says_what_it_is_how_to_call_it_and_who_may(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operations = {
        (method, path): operation for path, item in document["paths"].items() for method, operation in item.items()
    }
    assert {path for _, path in operations} >= {
        "/api/agent/feedback",
        "/api/grpo/train",
        "/api/grpo/train-tool-calling",
        "/api/grpo/test",
        "/api/grpo/tool-calling-stats",
        "/api/grpo/runs/{run_id}",
        "/api/stats",
        "/api/models",
        "/api/models/champion",
        "/api/models/rollback",
        "/api/models/{version}/promote",
        "/api/assign",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    for (method, path), operation in operations.items():
        assert operation["description"], path
        if path.startswith("/api/"):
            assert "curl " in operation["description"] or "fetch(" in operation["description"], path
        if path not in OPEN:
            assert {"401", "403", "429"} <= set(operation["responses"]), path
        if method == "post":
            assert {"400", "413", "415", "422"} <= set(operation["responses"]), path


def test_every_field_of_every_body_and_answer_says_what_it_is(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    silent = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, described in schema.get("properties", {}).items()
        if "description" not in described
    ]
    assert silent == []
