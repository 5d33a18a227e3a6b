"""What one week costs beyond its own training and evaluation: extraction, curation, dataset, checks, Dagster itself.

The models are tiny, so that the rest is plain to see; it does not depend on the model.
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
from grpo_pipeline.weeks import last_complete_week
from grpo_pipeline_tests.project import SMALL
from grpo_pipeline_tests.weekly_feedback import add_edits

EDITS = 200
ROUNDS = 3

TRAIN = """
import sys, time
from grpo_pipeline.resources.trainer import Trainer
from grpo_pipeline.cli.training import train_week
from grpo_pipeline.config import load_settings
from grpo_pipeline.weeks import Week
import grpo_pipeline.definitions
inside = {}
run = Trainer.run
def timed(self, context, module, config, working_directory):
    start = time.perf_counter()
    run(self, context, module, config, working_directory)
    inside[module] = time.perf_counter() - start
Trainer.run = timed
start = time.perf_counter()
problems = train_week(load_settings(), Week(sys.argv[1]))
assert not problems, problems
assert set(inside) == {"grpo_pipeline.training", "grpo_pipeline.evaluation"}, inside
print(time.perf_counter() - start, *inside.values())
"""


def train(url: str, week: str) -> tuple[float, float]:
    """Seconds of the whole week, and of those the seconds in the training and evaluation processes."""
    with tempfile.TemporaryDirectory(prefix="grpo-bench-") as home:
        environment = {
            **os.environ,
            **SMALL,
            "GRPO_HOME": home,
            "GRPO_DATABASE_URL": url,
            "GRPO_FIRST_WEEK": week,
            "DAGSTER_HOME": str(Path(home) / "dagster"),
        }
        command = [sys.executable, "-c", TRAIN, week]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    whole, *inside = (float(text) for text in done.stdout.split()[-3:])
    return whole, sum(inside)


def main() -> None:
    """Train one week several times, each from a fresh home and an empty registry."""
    week = last_complete_week(datetime.now(UTC), timedelta(hours=6))
    measured = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="grpo-bench-postgres-") as root:
            server = EmbeddedPostgres(Path(root), ephemeral=True)
            url = server.start()
            try:
                migrate(url)
                add_edits(url, week, EDITS)
                measured.append(train(url, week.key))
            finally:
                server.stop()
    whole, inside = (statistics.median(column) for column in zip(*measured, strict=True))
    rest = statistics.median(whole - inside for whole, inside in measured)
    print(
        f"one week of {EDITS} edits: {whole:.1f} s, training and evaluation {inside:.1f} s of it, the rest {rest:.1f} s"
    )
    print(f"  median of {ROUNDS}, tiny models; the rest is extraction, curation, dataset, checks, registry and Dagster")


if __name__ == "__main__":
    main()
