"""Dagster's GraphQL API, as far as launching and watching runs needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from grpo_pipeline.server.problems import ApiError

IN_FLIGHT = ["QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING"]
JOBS = """
query { repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } jobs { name } } } } }"""
RUNS = """
query($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 1) { ... on Runs { results { runId } } } }"""
LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } } }"""
RUN = """
query($id: ID!) { runOrError(runId: $id) { __typename ... on Run {
  runId jobName status tags { key value } startTime endTime stepKeysToExecute
  stepStats { stepKey status startTime endTime } } } }"""
DOWN = {"Retry-After": "10"}


@dataclass(frozen=True)
class JobPlace:
    """Where Dagster has a job."""

    job: str
    repository: str
    location: str


class DagsterApi:
    """Asks one Dagster webserver."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self.url = url.rstrip("/")

    async def find_job(self, name: str) -> JobPlace:
        """Where a job is.

        Raises:
            ApiError: there is none of that name, or Dagster does not answer.
        """
        found = (await self._ask(JOBS))["repositoriesOrError"].get("nodes", [])
        for repository in found:
            if any(job["name"] == name for job in repository["jobs"]):
                return JobPlace(name, repository["name"], repository["location"]["name"])
        raise ApiError(404, f"Dagster has no job {name}: update the code location that it serves.")

    async def run_in_flight(self, job: str, tags: Mapping[str, str]) -> str | None:
        """The id of a run of a job that is not over, among those with these tags."""
        wanted = {"pipelineName": job, "statuses": IN_FLIGHT, "tags": _tag_list(tags)}
        results = (await self._ask(RUNS, filter=wanted))["runsOrError"].get("results", [])
        return str(results[0]["runId"]) if results else None

    async def launch(self, place: JobPlace, tags: Mapping[str, str], config: Mapping[str, Any]) -> str:
        """Start a run and return its id.

        Raises:
            ApiError: Dagster refuses it or does not answer.
        """
        selector = {
            "repositoryLocationName": place.location,
            "repositoryName": place.repository,
            "pipelineName": place.job,
        }
        metadata = {"tags": _tag_list(tags)}
        params = {"selector": selector, "runConfigData": config, "executionMetadata": metadata, "mode": "default"}
        launched = (await self._ask(LAUNCH, params=params))["launchRun"]
        if launched["__typename"] != "LaunchRunSuccess":
            raise ApiError(503, f"Dagster did not launch the run ({launched['__typename']}): its log says why.")
        return str(launched["run"]["runId"])

    async def run(self, identity: str) -> dict[str, Any] | None:
        """What Dagster knows of a run; None where it knows none of that id."""
        found: dict[str, Any] = (await self._ask(RUN, id=identity))["runOrError"]
        return found if found["__typename"] == "Run" else None

    def link(self, run: str) -> str:
        """The page of a run in the UI."""
        return f"{self.url}/runs/{run}"

    async def _ask(self, query: str, **variables: object) -> dict[str, Any]:
        try:
            answer = await self._http.post(f"{self.url}/graphql", json={"query": query, "variables": variables})
            body = answer.raise_for_status().json()
        except (httpx2.HTTPError, ValueError) as error:
            raise ApiError(
                503,
                f"The Dagster webserver at {self.url} does not answer: start it with `grpo-pipeline dev`, or set "
                "GRPO_SERVER__DAGSTER_URL.",
                DOWN,
            ) from error
        if "errors" in body:
            raise ApiError(503, "The Dagster webserver does not understand this server: use the same version of both.")
        data: dict[str, Any] = body["data"]
        return data


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
