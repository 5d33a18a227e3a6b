"""The week: what would train, and whether a person lets it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.automation import refreshed_range, week_tags
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.sign_offs import SignOff, SignOffs
from grpo_pipeline.server.pages.rendering import page, page_routes
from grpo_pipeline.server.pages.reviewers import ActingReviewer, Reviewer
from grpo_pipeline.server.pages.week.reading import changed_since, read_week
from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.server.schema import Answer, Body
from grpo_pipeline.server.services import Services, ServicesOf
from grpo_pipeline.server.training.launching import DATA, Plan, week_asked_for
from grpo_pipeline.server.training.routes import launch, train
from grpo_pipeline.server.training.schema import LaunchAnswer, TrainBody
from grpo_pipeline.weeks import Week

PATH = "/week"
WeekKey = Annotated[str, Path(pattern=r"^\d{4}-\d{2}-\d{2}$")]

week_routes = page_routes()


class SignOffBody(Body):
    """What the page sends."""

    dataset_hash: str = Field(pattern="^[0-9a-f]{16,64}$", description="The dataset that the reviewer saw.")


class SignOffAnswer(Answer):
    """What was signed off."""

    dataset_hash: str = Field(description="The dataset that may train.")
    signed_by: str = Field(description="Who signed it off.")


class NoFields(Body):
    """An action that needs no more than its address."""


@week_routes.get(PATH)
async def last_week(reviewer: Reviewer, services: ServicesOf) -> Response:
    """Lead to the last complete week."""
    weeks = services.settings.complete_weeks()
    if not weeks:
        return page("no_week.html", reviewer, section="Week", first=services.settings.first_week)
    return RedirectResponse(f"{PATH}/{weeks[-1].key}", 303)


@week_routes.get(f"{PATH}/{{key}}")
async def week_page(key: WeekKey, reviewer: Reviewer, services: ServicesOf) -> HTMLResponse:
    """What would train for a week."""
    week = week_asked_for(services.settings, key)
    view = await run_in_threadpool(read_week, services.settings, services.url, week)
    keys = [known.key for known in reversed(services.settings.complete_weeks())]
    return await run_in_threadpool(
        lambda: page("week.html", reviewer, section="Week", view=view, weeks=keys, dagster=services.server.dagster_url)
    )


@week_routes.post(f"{PATH}/{{key}}/sign-off")
async def sign_off(key: WeekKey, body: SignOffBody, reviewer: ActingReviewer, services: ServicesOf) -> SignOffAnswer:
    """Let the dataset train that the reviewer saw, and no other."""
    week = week_asked_for(services.settings, key)
    signed = await run_in_threadpool(_sign, services, week, body.dataset_hash, reviewer.title)
    return SignOffAnswer(dataset_hash=signed.dataset_hash, signed_by=signed.signed_by)


@week_routes.post(f"{PATH}/{{key}}/dataset")
async def make_dataset(key: WeekKey, _: NoFields, reviewer: ActingReviewer, services: ServicesOf) -> LaunchAnswer:
    """Launch the run that makes the week's dataset, together with the earlier weeks that changed; it trains nothing."""
    week = week_asked_for(services.settings, key)
    async with services.launching:
        plan = await run_in_threadpool(_data_plan, services, week)
        return await launch(services, plan, reviewer, week.key)


@week_routes.post(f"{PATH}/{{key}}/train")
async def train_week(key: WeekKey, _: NoFields, reviewer: ActingReviewer, services: ServicesOf) -> LaunchAnswer:
    """Launch the weekly job on the week."""
    return await train(TrainBody(week=key), reviewer, services)


def _sign(services: Services, week: Week, dataset_hash: str, by: str) -> SignOff:
    try:
        dataset = ArtifactStore(services.settings.artifacts).require("preference_dataset", week.key)
    except PipelineError as error:
        raise ApiError(409, str(error)) from error
    if dataset.manifest["dataset_hash"] != dataset_hash:
        raise ApiError(409, "The dataset was made again since you saw it: reload the page and look at it.")
    if changed_since(services.settings, services.url, week):
        raise ApiError(
            409, "Pairs changed since the dataset was made, so another one would train: make it again first."
        )
    return SignOffs(services.url).sign(week, dataset_hash, by)


def _data_plan(services: Services, week: Week) -> Plan:
    changed = [item.week for item in changed_since(services.settings, services.url, week)]
    first, last = refreshed_range(ArtifactStore(services.settings.artifacts), changed) if changed else (week, week)
    return Plan(DATA, week_tags(first, max(last, week)), {}, f"The dataset of week {week.key} is being made.", None)
