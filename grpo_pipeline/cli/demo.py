"""`grpo-pipeline demo`: the whole weekly loop on sample feedback."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.cli.training import FAILED, INTERRUPTED, backfill_weeks, train_week
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.demo.load import load_sample
from grpo_pipeline.demo.summary import methods_table, metrics_table, outcome_table, summarize
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.staleness import stale_weeks
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.weeks import Week

Result = TypeVar("Result")

# On 2 cores, most of it training and evaluation.
MINUTES = "under ten minutes"


def demo() -> None:
    """Run the whole loop on twelve weeks of sample feedback: nothing to set up, no network, no GPU needed.

    Starts the embedded Postgres, loads the sample, makes the data of all weeks, then trains, evaluates and decides on
    the last one with a small model that comes as a package. Running it again is quick and changes nothing.

    Exit code 0: there is a verdict, whatever it is. 1: something failed.
    """
    settings = load_settings()
    if settings.database_url:
        raise PipelineError(
            "The demo loads made-up feedback, so it only runs on the embedded database: unset GRPO_DATABASE_URL for it."
        )
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"The weekly loop on sample feedback, all of it in {settings.home}; {MINUTES} the first time.")
    try:
        _run(settings, console)
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped; run the same command again to go on from there.")
        raise typer.Exit(INTERRUPTED) from None


def _run(settings: Settings, console: Console) -> None:
    url = _timed(console, "Embedded Postgres", lambda: resolve_database_url(settings))
    last = settings.complete_weeks()[-1]
    sample = _timed(console, "Sample feedback", lambda: load_sample(url, last))
    weeks = sample.weeks
    problems = _timed(console, f"Data of {len(weeks)} weeks", lambda: _make_data(settings, url, weeks))
    if not problems:
        trained = f"Training, evaluation and promotion of week {weeks[-1].key}"
        problems = _timed(console, trained, lambda: train_week(settings, weeks[-1]))
    for text in problems:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[red]Failed:[/red] {escape(text)}")
    if problems:
        raise typer.Exit(FAILED)
    _show_outcome(settings, url, weeks)


def _make_data(settings: Settings, url: str, weeks: list[Week]) -> list[str]:
    artifacts = ArtifactStore(settings.artifacts)
    if not stale_weeks(FeedbackStore(url), artifacts, weeks) and artifacts.latest("preference_dataset", weeks[-1].key):
        return []
    return backfill_weeks(settings, weeks, data_only=True)


def _show_outcome(settings: Settings, url: str, weeks: list[Week]) -> None:
    champion = ModelRegistry(url).champion()
    summary = summarize(ArtifactStore(settings.artifacts), weeks, champion.version if champion else None)
    # Not soft-wrapped: tables fit themselves to the terminal.
    console = Console(highlight=False)
    console.print()
    console.print(outcome_table(summary))
    if summary.metrics:
        console.print(metrics_table(summary))
    if summary.methods:
        console.print(methods_table(summary))
    console.print("\nWhat to open next:")
    console.print("  make dev                     the Dagster UI on http://127.0.0.1:3000", markup=False)
    console.print("  grpo-pipeline models list    the trained policy and what was decided about it", markup=False)
    console.print("  grpo-pipeline weeks stale    what changed in the database since", markup=False)


def _timed(console: Console, title: str, work: Callable[[], Result]) -> Result:
    """Do one stage of the demo and say how long it took."""
    started = time.monotonic()
    result = work()
    console.print(f"[green]done[/green] {escape(title)} ({time.monotonic() - started:.0f} s)")
    return result
