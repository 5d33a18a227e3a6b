"""The data assets of 52 weeks in one run, against 52 runs of one week each in the same process.

The peer is given the better part: a daemon would also start a process for each of its runs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grpo_pipeline.postgres.embedded import EmbeddedPostgres
from grpo_pipeline.postgres.migrations import migrate
from grpo_pipeline.weeks import Week, last_complete_week, weeks_between
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEKS = 52
EDITS = 60
ROUNDS = 2

BACKFILL = """
import sys, time
from grpo_pipeline.cli.training import backfill_weeks
from grpo_pipeline.config import load_settings
from grpo_pipeline.weeks import Week, weeks_between
import grpo_pipeline.definitions
first, last, together = sys.argv[1:]
settings = load_settings()
weeks = weeks_between(Week(first), Week(last))
runs = [weeks] if together == "together" else [[week] for week in weeks]
start = time.perf_counter()
for run in runs:
    problems = backfill_weeks(settings, run, data_only=True)
    assert not problems, problems
seconds = time.perf_counter() - start
from grpo_pipeline.artifacts import ArtifactStore
dataset = ArtifactStore(settings.artifacts).require("preference_dataset", last)
print(seconds, dataset.hash, dataset.manifest["counts"]["curated"])
"""


def backfill(url: str, weeks: list[Week], together: str) -> tuple[float, str, int]:
    """Seconds, the last dataset's hash and its curated pairs, from a fresh home."""
    with tempfile.TemporaryDirectory(prefix="grpo-bench-") as home:
        environment = {
            **os.environ,
            "GRPO_HOME": home,
            "GRPO_DATABASE_URL": url,
            "GRPO_FIRST_WEEK": weeks[0].key,
            "DAGSTER_HOME": str(Path(home) / "dagster"),
        }
        command = [sys.executable, "-c", BACKFILL, weeks[0].key, weeks[-1].key, together]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    seconds, digest, pairs = done.stdout.split()[-3:]
    return float(seconds), digest, int(pairs)


def main() -> None:
    """Interleave both and print their medians."""
    last = last_complete_week(datetime.now(UTC), timedelta(hours=6))
    weeks = weeks_between(last.shift(1 - WEEKS), last)
    with tempfile.TemporaryDirectory(prefix="grpo-bench-postgres-") as root:
        server = EmbeddedPostgres(Path(root), ephemeral=True)
        url = server.start()
        try:
            migrate(url)
            for week in weeks:
                add_edits(url, week, EDITS)
            rounds = [(backfill(url, weeks, "together"), backfill(url, weeks, "apart")) for _ in range(ROUNDS)]
        finally:
            server.stop()
    assert len({outcome[1:] for pair in rounds for outcome in pair}) == 1, "both ways must give the same dataset"
    together, apart = (statistics.median(pair[side][0] for pair in rounds) for side in (0, 1))
    print(f"{WEEKS} weeks of {EDITS} edits: one run {together:.1f} s ({together / WEEKS:.2f} s a week),")
    print(f"  {WEEKS} runs {apart:.1f} s ({apart / WEEKS:.2f} s a week), ratio {together / apart:.2f}")
    print(
        f"  median of {ROUNDS} each; both end with the same dataset of {rounds[0][0][2]} curated pairs in its look-back"
    )


if __name__ == "__main__":
    main()
