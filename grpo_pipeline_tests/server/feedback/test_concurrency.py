from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import psycopg

from grpo_pipeline_tests.server.conftest import LOCAL, Server
from grpo_pipeline_tests.server.feedback.posts import edit, post, rows

PATH = "/api/agent/feedback"
AT_ONCE = 100


@asynccontextmanager
async def clients(server: Server, count: int) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Clients of several servers on one database."""
    apps = [server.app(add_users=True) for _ in range(count)]
    opened = []
    contexts = [app.router.lifespan_context(app) for app in apps]
    for app, context in zip(apps, contexts, strict=True):
        await context.__aenter__()
        opened.append(httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=LOCAL, timeout=60))
    try:
        yield opened
    finally:
        for client, context in zip(opened, contexts, strict=True):
            await client.aclose()
            await context.__aexit__(None, None, None)


def send_at_once(server: Server, bodies: Sequence[dict[str, Any]], servers: int = 1) -> list[httpx2.Response]:
    """Post all of them at once, in turns to several servers."""

    async def run() -> list[httpx2.Response]:
        async with clients(server, servers) as found:
            posts = (found[number % servers].post(PATH, json=body) for number, body in enumerate(bodies))
            return await asyncio.gather(*posts)

    return asyncio.run(run())


def outcomes(answers: Sequence[httpx2.Response]) -> Counter[str]:
    assert {answer.status_code for answer in answers} <= {200, 201}
    return Counter(answer.json()["outcome"] for answer in answers)


def test_a_hundred_votes_at_once_on_one_response_are_one_vote(server: Server) -> None:
    found = outcomes(send_at_once(server, [post()] * AT_ONCE))
    assert found == {"recorded": 1, "repeated": AT_ONCE - 1}
    assert len(rows(server.url)) == 1


def test_a_hundred_votes_at_once_through_three_servers_are_one_vote(server: Server) -> None:
    kinds = ["thumbs_up", "thumbs_down"]
    bodies = [post(feedbackType=kinds[number % 2], idempotencyKey=str(number)) for number in range(AT_ONCE)]
    found = outcomes(send_at_once(server, bodies, servers=3))
    assert found["recorded"] == 1
    assert len(rows(server.url)) == 1
    # Each replaced vote is history, and nothing else is.
    assert len(rows(server.url, "public.agent_feedback_history")) == found["replaced"]


def test_a_request_sent_a_hundred_times_at_once_counts_once(server: Server) -> None:
    bodies = [edit(idempotencyKey="the same", userId=None)] * AT_ONCE
    answers = send_at_once(server, bodies, servers=2)
    assert outcomes(answers)["recorded"] == 1
    assert len(rows(server.url)) == len(rows(server.url, "public.preference_pairs")) == 1


def test_different_posts_at_once_are_all_kept(server: Server) -> None:
    bodies = [edit(response=f"answer {number}") for number in range(AT_ONCE)]
    assert outcomes(send_at_once(server, bodies, servers=2)) == {"recorded": AT_ONCE}
    assert {row["response"] for row in rows(server.url)} == {body["response"] for body in bodies}
    assert len(rows(server.url, "public.preference_pairs")) == AT_ONCE


def test_a_bad_post_among_many_is_refused_alone(server: Server) -> None:
    # As large as the limit, until the database writes the numbers out.
    bad = post(metadata={"a": [1e300] * 500})
    bodies = [post(response=f"answer {number}") for number in range(20)]
    answers = send_at_once(server, [*bodies[:10], bad, *bodies[10:]])
    assert [answer.status_code for answer in answers] == [201] * 10 + [422] + [201] * 10
    assert len(rows(server.url)) == 20


def test_posts_survive_a_database_that_drops_the_connection(server: Server) -> None:
    async def run(do: Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]) -> tuple[int, int]:
        async with clients(server, 1) as (client,):
            before = (await do(client)).status_code
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                )
            return before, (await do(client)).status_code

    numbers = iter(range(10))
    assert asyncio.run(run(lambda client: client.post(PATH, json=post(response=str(next(numbers)))))) == (201, 201)
    assert len(rows(server.url)) == 2
