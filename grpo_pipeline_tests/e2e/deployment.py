"""The webserver and the daemon as users start them, on a project of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from grpo_pipeline_tests.postgres_fixtures import free_port

LOCATION = {"repositoryLocationName": "grpo_pipeline.definitions", "repositoryName": "__repository__"}
LAUNCH_BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status } } }"""
LAUNCH_RUN = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
TERMINATE = """
mutation($id: String!) { terminateRun(runId: $id) {
  __typename ... on PythonError { message } ... on TerminateRunFailure { message } } }"""
START_SENSOR = """
mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  __typename ... on PythonError { message } } }"""
RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }"
RUNS = "query { runsOrError { ... on Runs { results { runId jobName status tags { key value } } } } }"
POOL = """
query { instance { concurrencyLimit(concurrencyKey: "gpu") {
  claimedSlots { runId } pendingSteps { runId } } } }"""


@dataclass(frozen=True)
class Deployment:
    """A running webserver with its daemon and the HTTP API."""

    port: int
    api_port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The data of a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def backfill(self, assets: list[str], weeks: list[str]) -> str:
        """Start a backfill as the UI does and return its id."""
        params = {"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": weeks}
        return str(self.ask(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]["backfillId"])

    def backfill_status(self, backfill: str) -> str:
        return str(self.ask(BACKFILL, id=backfill)["partitionBackfillOrError"]["status"])

    def launch(self, job: str, week: str, assets: list[str] | None = None) -> str:
        """Start a run of one week as the launchpad does and return its id."""
        selector: dict[str, Any] = {**LOCATION, "pipelineName": job}
        if assets:
            selector["assetSelection"] = [{"path": [asset]} for asset in assets]
        tags = [{"key": "dagster/partition", "value": week}]
        params = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}, "mode": "default"}
        launched = self.ask(LAUNCH_RUN, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def turn_on(self, sensor: str) -> None:
        """Turn a sensor on, as its switch in the UI does."""
        started = self.ask(START_SENSOR, selector={**LOCATION, "sensorName": sensor})["startSensor"]
        assert started["__typename"] == "Sensor", started

    def terminate(self, run: str) -> None:
        assert self.ask(TERMINATE, id=run)["terminateRun"]["__typename"] == "TerminateRunSuccess"

    def status(self, run: str) -> str:
        return str(self.ask(RUN, id=run)["runOrError"]["status"])

    def runs(self) -> list[dict[str, Any]]:
        """Every run, the latest first, with its tags as a dictionary."""
        found = self.ask(RUNS)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def pool_is_free(self) -> bool:
        limit = self.ask(POOL)["instance"]["concurrencyLimit"]
        return not limit["claimedSlots"]

    def children(self, *parts: str) -> list[psutil.Process]:
        """The processes of this deployment whose command line holds all of these parts."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if all(part in line for part in parts):
                found.append(process)
        return found


def wait_until(what: str, holds: Callable[[], object], seconds: float) -> None:
    """Wait until something holds, and fail with its name where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}"
        time.sleep(0.3)


def start(home: Path, environment: dict[str, str]) -> Deployment:
    """Start `dagster dev` on a home folder, as `grpo-pipeline dev` does, and wait until it answers."""
    port, api_port = free_port(), free_port()
    (home / "dev.log").parent.mkdir(parents=True, exist_ok=True)
    with (home / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "grpo_pipeline", "dev", "--port", str(port)],
            env={**os.environ, **environment, "GRPO_SERVER__PORT": str(api_port)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deployment = Deployment(port, api_port, process)
    try:
        wait_until("the webserver answers and has loaded the code", lambda: _loaded(deployment), 180)
    except AssertionError:
        # Nobody else knows of it yet.
        stop(deployment)
        raise
    return deployment


def _loaded(deployment: Deployment) -> bool:
    assert deployment.process.poll() is None, "dagster dev ended"
    try:
        found = deployment.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
    except OSError:
        return False
    return bool(found["repositoriesOrError"].get("nodes"))


def stop(deployment: Deployment) -> None:
    """Stop everything that was started."""
    family = psutil.Process(deployment.process.pid).children(recursive=True)
    deployment.process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(family, timeout=30)
    for process in alive:
        process.kill()
    deployment.process.wait(timeout=30)
