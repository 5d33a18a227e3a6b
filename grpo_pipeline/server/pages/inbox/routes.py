"""The inbox: the newest pairs, and what a reviewer decides about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.conversation import parse_prompt
from grpo_pipeline.server.pages.curation_flags import Flag, flagged_ids, flags_of, known_flags
from grpo_pipeline.server.pages.inbox.decisions import decide, undo
from grpo_pipeline.server.pages.inbox.filters import InboxFilter
from grpo_pipeline.server.pages.inbox.pairs import Pair, count_by_status, find_pairs, known_models, read_pairs
from grpo_pipeline.server.pages.inbox.schema import (
    DecisionAnswer,
    DecisionBody,
    EditBody,
    EditedText,
    ShownPair,
)
from grpo_pipeline.server.pages.readable import SHOWN_CHARS, Texts, readable_texts
from grpo_pipeline.server.pages.rendering import environment, page, page_routes
from grpo_pipeline.server.pages.reviewers import ActingReviewer, Reviewer
from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.server.services import Services, ServicesOf
from grpo_pipeline.weeks import Week, weeks_between

PATH = "/inbox"
DONE = {"approve": "approved", "reject": "rejected", "edit": "edited and approved"}
CHANGED = "changed since you saw it: reload the page"

inbox_routes = page_routes()


@dataclass(frozen=True)
class PairView:
    """What the inbox shows of a pair."""

    pair: Pair
    texts: Texts
    flags: Sequence[Flag]


@inbox_routes.get(PATH)
async def inbox(reviewer: Reviewer, services: ServicesOf, wanted: Annotated[InboxFilter, Query()]) -> HTMLResponse:
    """The pairs that the filters let through, newest first."""
    artifacts = ArtifactStore(services.settings.artifacts)
    flagged = await run_in_threadpool(flagged_ids, artifacts, wanted.flag, wanted.week) if wanted.flag else None
    async with services.pool.connection() as connection:
        found = await find_pairs(connection, wanted, flagged)
        counts, models = await count_by_status(connection), await known_models(connection)
    return await run_in_threadpool(
        lambda: page(
            "inbox.html",
            reviewer,
            section="Inbox",
            wanted=wanted,
            views=_views(services, found.pairs, whole=wanted.pair is not None),
            older=wanted.address(PATH, older=str(found.older)) if found.older else None,
            newest=wanted.address(PATH, older="") if wanted.older else None,
            counts=counts,
            flags=known_flags(artifacts),
            models=models,
            weeks=_weeks(services),
        )
    )


@inbox_routes.get(f"{PATH}/pairs/{{identity}}")
async def text_to_edit(identity: UUID, _: Reviewer, services: ServicesOf) -> EditedText:
    """The whole kept answer of a pair."""
    async with services.pool.connection() as connection:
        pairs = await read_pairs(connection, [identity])
    if not pairs:
        raise ApiError(404, "The pair is not there any more.")
    return EditedText(chosen=pairs[0].chosen, version=pairs[0].version)


@inbox_routes.post(f"{PATH}/decide")
async def decide_on_pairs(body: DecisionBody, reviewer: ActingReviewer, services: ServicesOf) -> DecisionAnswer:
    """Approve or reject pairs."""
    async with services.pool.connection() as connection:
        done = await decide(connection, reviewer.title, body.action, [(item.id, item.version) for item in body.pairs])
    return await _answer(services, done, len(body.pairs), DONE[body.action])


@inbox_routes.post(f"{PATH}/edit")
async def edit_pair(body: EditBody, reviewer: ActingReviewer, services: ServicesOf) -> DecisionAnswer:
    """Put another kept answer in a pair's place, and approve the pair with it."""
    async with services.pool.connection() as connection:
        done = await decide(connection, reviewer.title, "edit", [(body.id, body.version)], body.chosen)
    return await _answer(services, done, 1, DONE["edit"])


@inbox_routes.post(f"{PATH}/undo")
async def undo_last(reviewer: ActingReviewer, services: ServicesOf) -> DecisionAnswer:
    """Take back the reviewer's last decision that still stands."""
    async with services.pool.connection() as connection:
        done = await undo(connection, reviewer.title)
    if not done:
        raise ApiError(409, "There is nothing of yours to undo.")
    return await _answer(services, done, len(done), "as before the last decision")


async def _answer(services: Services, done: Collection[UUID], asked: int, became: str) -> DecisionAnswer:
    if not done:
        raise ApiError(409, f"The pair {CHANGED}." if asked == 1 else f"Each of these pairs {CHANGED}.")
    async with services.pool.connection() as connection:
        pairs = await read_pairs(connection, sorted(done))
    views = await run_in_threadpool(_views, services, pairs)
    left = f" {asked - len(done)} {CHANGED}." if len(done) < asked else ""
    count = "1 pair" if len(done) == 1 else f"{len(done)} pairs"
    return DecisionAnswer(
        message=f"{count} {became}.{left}",
        pairs=[ShownPair(id=view.pair.id, html=_article(view)) for view in views],
    )


def _views(services: Services, pairs: Sequence[Pair], *, whole: bool = False) -> list[PairView]:
    artifacts = ArtifactStore(services.settings.artifacts)
    flags = flags_of(artifacts, [pair.week for pair in pairs], [str(pair.id) for pair in pairs])
    most = None if whole else SHOWN_CHARS
    return [
        PairView(
            pair,
            readable_texts(parse_prompt(pair.prompt), pair.rejected, pair.chosen, pair.tools, most),
            flags.get(str(pair.id), []),
        )
        for pair in pairs
    ]


def _article(view: PairView) -> str:
    return environment().get_template("pair.html").render(view=view)


def _weeks(services: Services) -> list[str]:
    weeks = weeks_between(Week(services.settings.first_week), Week.containing(datetime.now(UTC)))
    return [week.key for week in reversed(weeks)]
