"""Feedback posted over HTTP by another process, against the same server with one commit for every post.

Three phases on a real server and a Postgres that flushes to disk: posts at a fixed rate (each timed from the moment it
was due, so that a server that falls behind cannot hide it), as many posts as it takes, and a kill -9 in the middle of
posts. After each the rows in the database are counted against the answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import jwt
import numpy as np
import psutil
import psycopg

from grpo_pipeline.postgres.embedded import EmbeddedPostgres
from grpo_pipeline.postgres.migrations import migrate
from grpo_pipeline_tests.postgres_fixtures import free_port

RATE = 600
TARGET_RATE, TARGET_P99_MS = 500, 100
SECONDS = 60
CONNECTIONS = 64
USERS = 200
WARM_UP_SECONDS = 3
SECRET, ISSUER = "a-secret-for-benchmarks-of-32-bytes!", "https://bench.example"
TEXT = "The quarterly report shows that revenue grew while costs stayed flat. " * 6
SERVE = "from grpo_pipeline.cli.app import main; import sys; sys.argv = ['grpo-pipeline', 'serve']; main()"
ONE_BY_ONE = (
    "from grpo_pipeline.server.feedback.writing import FeedbackWriter as w; "
    "w.__init__.__kwdefaults__['most_in_a_batch'] = 1; " + SERVE
)
NUMBERS = count()


@dataclass
class Post:
    """One request: what is sent, when it was due, and what came back."""

    key: str
    body: bytes
    due: float = 0.0
    milliseconds: float = 0.0
    status: int = 0


class Connection(asyncio.Protocol):
    """One connection that stays open and has one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[int] | None = None
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, rest = self.received.partition(b"\r\n\r\n")
        if not separator or self.answer is None:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) >= length:
            self.received = b""
            self.answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(0)

    async def send(self, request: bytes) -> int:
        """Send a request and wait for the status of its answer; 0 where the connection broke off."""
        if self.transport is None or self.transport.is_closing():
            return 0
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer


@dataclass
class Load:
    """Posts from many users over some connections."""

    port: int
    done: list[Post] = field(default_factory=list)

    def __post_init__(self) -> None:
        expiry = int(time.time()) + 3600
        self._tokens = [
            jwt.encode(
                {"sub": str(uuid.UUID(int=number + 1)), "iss": ISSUER, "aud": "authenticated", "exp": expiry}, SECRET
            )
            for number in range(USERS)
        ]

    def post(self) -> Post:
        """The next post: a thumb, or an edit every fifth time; every response another one."""
        number = next(NUMBERS)
        key = f"post-{number}"
        sent = {
            "prompt": f"Analyze report {number}",
            "response": f"{number}: {TEXT}",
            "feedbackType": "edit" if number % 5 == 0 else "thumbs_up",
            "corrections": f"{number}: better. {TEXT}" if number % 5 == 0 else None,
            "idempotencyKey": key,
        }
        body = json.dumps(sent).encode()
        head = (
            "POST /api/agent/feedback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._tokens[number % USERS]}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return Post(key, head.encode() + body)

    async def connect(self, connections: int) -> asyncio.Queue[Connection]:
        """Open connections, all of them idle."""
        idle: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(connections):
            _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self.port)
            idle.put_nowait(connection)
        return idle

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Send posts when they are due, whether or not the earlier ones are answered."""
        idle = await self.connect(CONNECTIONS)
        start = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            post = self.post()
            post.due = start + number / rate
            await asyncio.sleep(max(0.0, post.due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._send(post, idle)))
        await asyncio.gather(*tasks)

    async def as_many_as_it_takes(self, seconds: float, connections: int = CONNECTIONS) -> None:
        """Send the next post on a connection as soon as the last one is answered."""
        idle = await self.connect(connections)
        until = time.perf_counter() + seconds

        async def work() -> None:
            while time.perf_counter() < until:
                post = self.post()
                post.due = time.perf_counter()
                await self._send(post, idle)
                if post.status == 0:
                    return

        await asyncio.gather(*(work() for _ in range(connections)))

    async def _send(self, post: Post, idle: asyncio.Queue[Connection]) -> None:
        connection = await idle.get()
        post.status = await connection.send(post.body)
        post.milliseconds = 1000 * (time.perf_counter() - post.due)
        self.done.append(post)
        idle.put_nowait(connection)

    def acknowledged(self) -> set[str]:
        """The keys of the posts that were answered as kept."""
        return {post.key for post in self.done if post.status in (200, 201)}


@contextmanager
def serving(home: Path, url: str, program: str) -> Iterator[tuple[int, psutil.Process]]:
    """A server in a process of its own: its port and the process."""
    port = free_port()
    environment = {
        **os.environ,
        "GRPO_HOME": str(home),
        "GRPO_DATABASE_URL": url,
        "GRPO_SERVER__PORT": str(port),
        "GRPO_SERVER__ADD_USERS": "true",
        "GRPO_SERVER__JWT_SECRET": SECRET,
        "GRPO_SERVER__JWT_ISSUER": ISSUER,
        "GRPO_SERVER__USER_REQUESTS_PER_MINUTE": "1000000",
    }
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1)
        yield port, psutil.Process(process.pid)
        process.send_signal(signal.SIGTERM)


def kept(url: str) -> list[str]:
    """The key of every post that the database has, and whether each stands for a row of its own."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select r.key from private.feedback_requests r join agent_feedback f on f.id = r.feedback_id"
        ).fetchall()
        ((single,),) = connection.execute("select count(*) from agent_feedback").fetchall()
        ((edits, pairs),) = connection.execute(
            "select (select count(*) from agent_feedback where feedback_type = 'edit'),"
            " (select count(*) from preference_pairs)"
        ).fetchall()
    assert single == len(rows), "a post was written twice"
    assert edits == pairs, "an edit has no pair"
    return [row[0] for row in rows]


def megabytes(process: psutil.Process) -> float:
    """Memory that a process has."""
    return float(process.memory_info().rss) / 1e6


def quantiles(posts: list[Post]) -> str:
    """Median, 99th percentile and the longest time, in words."""
    times = np.array([post.milliseconds for post in posts])
    return f"median {np.median(times):.1f} ms, p99 {np.quantile(times, 0.99):.1f} ms, longest {times.max():.0f} ms"


def steady(home: Path, url: str, seconds: int) -> bool:
    """Posts at a fixed rate: whether the target is met."""
    with serving(home, url, SERVE) as (port, server):
        asyncio.run(Load(port).as_many_as_it_takes(WARM_UP_SECONDS, 8))
        before, cpu = megabytes(server), sum(server.cpu_times()[:2])
        load = Load(port)
        start = time.perf_counter()
        asyncio.run(load.at_rate(RATE, seconds))
        took, after = time.perf_counter() - start, megabytes(server)
        cpu = sum(server.cpu_times()[:2]) - cpu
    missing = load.acknowledged() - set(kept(url))
    refused = len(load.done) - len(load.acknowledged())
    p99 = float(np.quantile([post.milliseconds for post in load.done], 0.99))
    rate = len(load.acknowledged()) / took
    print(f"at a fixed rate: {rate:.0f} posts/s for {took:.0f} s ({len(load.done)} posts), {quantiles(load.done)}")
    print(f"  refused {refused}, lost {len(missing)}, doubled 0 (counted in the database)")
    print(f"  server: {cpu / took:.0%} of a core, memory {before:.0f} MB before, {after:.0f} MB after")
    return rate >= TARGET_RATE and p99 < TARGET_P99_MS and not missing and not refused


def most(home: Path, url: str, seconds: int) -> None:
    """As many posts as it takes, written in batches and one by one."""
    found = {}
    for name, program in (("in batches", SERVE), ("one commit a post", ONE_BY_ONE)):
        with serving(home, url, program) as (port, _):
            asyncio.run(Load(port).as_many_as_it_takes(WARM_UP_SECONDS, 8))
            load = Load(port)
            asyncio.run(load.as_many_as_it_takes(seconds))
        found[name] = len(load.acknowledged()) / seconds
        print(f"as many as it takes, {name}: {found[name]:.0f} posts/s, {quantiles(load.done)}")
    batches, single = found.values()
    print(f"  batches take {batches / single:.2f} times as many")


def killed(home: Path, url: str) -> bool:
    """A kill -9 of the server in the middle of posts: whether every acknowledged post is there."""
    with serving(home, url, SERVE) as (port, server):
        load = Load(port)

        async def run() -> None:
            posting = asyncio.create_task(load.as_many_as_it_takes(20))
            await asyncio.sleep(3)
            server.kill()
            await posting

        asyncio.run(run())
    missing = load.acknowledged() - set(kept(url))
    print(f"kill -9 in the middle: {len(load.acknowledged())} posts acknowledged, {len(missing)} of them lost")
    return not missing


def main() -> int:
    """Run the phases; the exit code says whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seconds", type=int, default=SECONDS, help="How long the steady phase lasts.")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="grpo-bench-posts-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "postgres")
        url = server.start()
        try:
            migrate(url)
            met = steady(Path(folder), url, seconds)
            most(Path(folder), url, max(5, seconds // 6))
            met = killed(Path(folder), url) and met
        finally:
            server.stop()
    target = f"at least {TARGET_RATE} posts/s with p99 under {TARGET_P99_MS} ms, none lost or doubled"
    print(f"{'met' if met else 'MISSED'}: {target}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
