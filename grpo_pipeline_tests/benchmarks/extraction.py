"""Extraction of one week to Parquet, against `\\copy (the same query) to /dev/null (format binary)` as the floor.

`--large` adds a run of 1,000,000 rows, which shows whether memory grows with the rows (about 5 GB of disk).
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg

from grpo_pipeline.feedback.queries import window_query
from grpo_pipeline.postgres.embedded import EmbeddedPostgres
from grpo_pipeline.postgres.embedded_files import installed_programs
from grpo_pipeline.postgres.migrations import migrate
from grpo_pipeline.weeks import Week

ROWS = 200_000
LARGE = 1_000_000
RUNS = 5
PARAGRAPHS = 20_000
WEEK = Week("2026-11-02")
TARGET_RATIO = 2.5
TARGET_MEGABYTES = 300

EXTRACT = """
import sys, time
from pathlib import Path
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.weeks import Week
url, week, target = sys.argv[1:]
start = time.perf_counter()
result = FeedbackStore(url).extract("agent_feedback", Week(week), Path(target))
seconds = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) / 1024, result.rows)
"""
COPY_ROWS = """
copy agent_feedback (created_at, updated_at, feedback_type, prompt, response, corrections, score, metadata) from stdin
"""


def paragraphs(seed: int) -> list[str]:
    """About 1 KB of text each, with the characters that trip up formats."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(2, 10))) for _ in range(5_000)]
    special = ['"quoted"', "line\nbreak", "crlf\r\n", "tab\t", "back\\slash", "\\N", "emoji 🙂", "漢字", "it's"]
    vocabulary = words + special * 12
    weights = [1 / (rank + 1) for rank in range(len(words))] + [0.002] * (len(vocabulary) - len(words))
    return [" ".join(rng.choices(vocabulary, weights, k=rng.randint(130, 220))) for _ in range(PARAGRAPHS)]


def rows(count: int) -> Iterator[tuple[object, ...]]:
    """Rows of about 3 KB in the order in which they came."""
    rng = random.Random(1)
    pool = paragraphs(2)
    step = timedelta(days=7) / count
    for number in range(count):
        moment = WEEK.start + number * step
        prompt, response, better = (f"{number} {rng.choice(pool)}" for _ in range(3))
        edit = number % 10 < 7
        kind = "edit" if edit else "comment"
        yield moment, moment, kind, prompt, response, better if edit else None, 1 + number % 5, '{"page": 1}'


def fill(url: str, count: int) -> None:
    """A migrated database with the rows; no pairs, which are not measured here."""
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter table agent_feedback disable trigger agent_feedback_pair_new")
        with connection.cursor() as cursor, cursor.copy(COPY_ROWS) as copy:
            for row in rows(count):
                copy.write_row(row)
        connection.execute("vacuum analyze agent_feedback")
        size = connection.execute("select pg_size_pretty(pg_total_relation_size('agent_feedback'))").fetchone()
    print(f"{count:,} rows, {size[0] if size else '?'} in the database")


def copy_seconds(url: str) -> float:
    """Wall time of psql reading the same rows and throwing them away."""
    query = " ".join(window_query("agent_feedback", WEEK.start, WEEK.end).split())
    psql = installed_programs() / "psql"
    start = time.perf_counter()
    command = f"\\copy ({query}) to '/dev/null' with (format binary)"
    subprocess.run([psql, url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command], check=True)
    return time.perf_counter() - start


def extract(url: str, target: Path) -> tuple[float, float, int]:
    """Seconds, peak megabytes and rows of an extraction in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", EXTRACT, url, WEEK.key, str(target)], check=True, capture_output=True, text=True
    )
    seconds, peak, count = done.stdout.split()
    return float(seconds), float(peak), int(count)


def measure(count: int, runs: int) -> None:
    """Interleave both so that the machine's other work falls on each alike; print one line each."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        # The server may run as another user, who must be able to reach its folder.
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "postgres", ephemeral=True)
        url = server.start()
        try:
            fill(url, count)
            target = Path(folder) / "feedback.parquet"
            copy_seconds(url)
            measured = [(copy_seconds(url), *extract(url, target)) for _ in range(runs)]
            size = target.stat().st_size / 2**20
        finally:
            server.stop()
    floor, ours, peak = (statistics.median(column) for column in list(zip(*measured, strict=True))[:3])
    assert {run[3] for run in measured} == {count}
    print(f"  \\copy binary to nowhere  {floor:6.2f} s   {[round(run[0], 2) for run in measured]}")
    print(f"  extraction to Parquet    {ours:6.2f} s   {[round(run[1], 2) for run in measured]}  {size:,.0f} MB file")
    print(f"  ratio                    {ours / floor:6.2f}     target at most {TARGET_RATIO}")
    print(f"  peak memory              {peak:6.0f} MB  target under {TARGET_MEGABYTES}")


def main() -> None:
    """Measure the size asked for, and the large one where wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--large", action="store_true", help=f"also {LARGE:,} rows")
    options = parser.parse_args()
    print("extraction of one week of feedback")
    measure(options.rows, options.runs)
    if options.large:
        measure(LARGE, 1)


if __name__ == "__main__":
    main()
