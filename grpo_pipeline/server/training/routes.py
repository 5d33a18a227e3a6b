"""Launching training runs and watching them."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.server.access.callers import ACCESS_PROBLEMS, AdminOnly, Caller, only
from grpo_pipeline.server.problems import ApiError, documented
from grpo_pipeline.server.services import Services, ServicesOf
from grpo_pipeline.server.training.launching import TOOL_CALLING, Plan, plan_training, week_asked_for
from grpo_pipeline.server.training.progress import run_answer
from grpo_pipeline.server.training.schema import LaunchAnswer, RunAnswer, ToolCallingBody, TrainBody

LAUNCH_PROBLEMS = {**ACCESS_PROBLEMS, **documented(400, 404, 409, 413, 415, 422)}

training_routes = APIRouter(prefix="/api/grpo", tags=["training"])


@training_routes.post("/train", status_code=202, responses=LAUNCH_PROBLEMS)
async def train(body: TrainBody, caller: AdminOnly, services: ServicesOf) -> LaunchAnswer:
    """Launch the weekly job on a week: extract, curate, train, evaluate, promote on evidence.

    409 says why it is not launched: too few new pairs (with the count), the same data was decided on already, or a run
    on it is at work.

    ```sh
    curl http://127.0.0.1:8000/api/grpo/train -H "Authorization: Bearer $ADMIN_KEY" \\
      -H "Content-Type: application/json" -d '{"week": "2026-11-02"}'
    ```
    """
    week = week_asked_for(services.settings, body.week)
    # Of two that ask at once, the second one finds the run of the first.
    async with services.launching:
        plan = await run_in_threadpool(
            plan_training, services.settings, services.url, week, body.profile, force=body.force
        )
        return await launch(services, plan, caller, week.key)


@training_routes.post("/train-tool-calling", status_code=202, responses=LAUNCH_PROBLEMS)
async def train_tool_calling(body: ToolCallingBody, caller: AdminOnly, services: ServicesOf) -> LaunchAnswer:
    """Launch training on synthetic tool-calling scenarios, which needs no feedback.

    ```sh
    curl http://127.0.0.1:8000/api/grpo/train-tool-calling -H "Authorization: Bearer $ADMIN_KEY" \\
      -H "Content-Type: application/json" -d '{}'
    ```
    """
    async with services.launching:
        plan = Plan(TOOL_CALLING, {}, {}, "A model is trained and measured on synthetic tool calls.", None)
        return await launch(services, plan, caller, None)


@training_routes.get(
    "/runs/{run_id}", dependencies=[only("admin")], responses={**ACCESS_PROBLEMS, **documented(404, 422)}
)
async def run(run_id: UUID, services: ServicesOf) -> RunAnswer:
    """How far a run is: its steps, the metrics of its training so far, and at its end what was decided.

    ```sh
    curl http://127.0.0.1:8000/api/grpo/runs/$RUN -H "Authorization: Bearer $ADMIN_KEY"
    ```
    """
    found = await services.dagster.run(str(run_id))
    if found is None:
        raise ApiError(404, "Dagster knows no run of this id.")
    artifacts = ArtifactStore(services.settings.artifacts)
    return await run_in_threadpool(run_answer, found, artifacts, services.dagster.link(str(run_id)))


async def launch(services: Services, plan: Plan, caller: Caller, week: str | None) -> LaunchAnswer:
    """Launch a run, unless one on the same is at work.

    Raises:
        ApiError: one is, Dagster does not answer, or it does not know the job.
    """
    place = await services.dagster.find_job(plan.job)
    busy = await services.dagster.run_in_flight(plan.job, plan.tags)
    if busy:
        raise ApiError(409, f"Run {busy} is at work on this: /api/grpo/runs/{busy} says how far it is.")
    tags = {**plan.tags, "grpo/launched_by": caller.name}
    launched = await services.dagster.launch(place, tags, plan.config)
    return LaunchAnswer(
        run_id=UUID(launched),
        job=plan.job,
        week=week,
        new_pairs=plan.new_pairs,
        message=plan.message,
        url=services.dagster.link(launched),
        status_url=f"/api/grpo/runs/{launched}",
    )
