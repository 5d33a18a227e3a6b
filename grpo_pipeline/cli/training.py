"""`grpo-pipeline train` and `grpo-pipeline backfill`: the weekly job from the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.staleness import stale_weeks
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.weeks import Week, weeks_between

FAILED, INTERRUPTED = 1, 130
COLORS = {"pass": "green", "fail": "red", "inconclusive": "yellow", "skipped": "yellow"}


def train(
    week: Annotated[
        str | None, typer.Option(help="Monday of the week, such as 2026-11-02; unset: the last complete week.")
    ] = None,
) -> None:
    """Do what the weekly job does: a week of feedback becomes an evaluated policy, promoted or refused.

    Weeks that changed since they were extracted, or never were, are brought up to date first.

    Exit code 0: there is a verdict, whatever it is. 1: something failed.
    """
    settings = load_settings()
    chosen = chosen_week(settings, week)
    with interruptible():
        problems = train_week(settings, chosen)
    _finish(settings, [chosen], problems)


def backfill(
    first: Annotated[str, typer.Option("--from", help="Monday of the first week.")],
    last: Annotated[str, typer.Option("--to", help="Monday of the last week.")],
    data_only: Annotated[bool, typer.Option("--data-only", help="Stop at the datasets; train nothing.")] = False,
) -> None:
    """Make past weeks: the data of all of them in one run, then training one week at a time.

    A week without enough new pairs trains nothing and says so.

    Exit code 0: every week has a verdict, whatever it is. 1: something failed; the other weeks are done.
    """
    settings = load_settings()
    weeks = chosen_weeks(settings, first, last)
    with interruptible():
        problems = backfill_weeks(settings, weeks, data_only=data_only)
    _finish(settings, weeks, problems)


def chosen_week(settings: Settings, key: str | None) -> Week:
    """The week asked for, or the last complete one.

    Raises:
        PipelineError: there is no such week, or it is not complete.
    """
    if key is not None:
        return settings.require_complete(Week(key))
    weeks = settings.complete_weeks()
    if not weeks:
        raise PipelineError(
            f"No week is complete yet: the first one starts on {settings.first_week} (GRPO_FIRST_WEEK)."
        )
    return weeks[-1]


def chosen_weeks(settings: Settings, first: str, last: str) -> list[Week]:
    """Every week from the first to the last.

    Raises:
        PipelineError: one of them is no week, not complete, or they are the wrong way round.
    """
    weeks = weeks_between(settings.require_complete(Week(first)), settings.require_complete(Week(last)))
    if not weeks:
        raise PipelineError(f"--from {first} lies after --to {last}: give the earlier week first.")
    return weeks


def train_week(settings: Settings, week: Week) -> list[str]:
    """Bring stale weeks up to date, then run the weekly job on one week; the sentences of what failed."""
    # Dagster takes seconds to import; the other commands should not wait for it.
    from grpo_pipeline.automation import DATA_ASSETS, MODEL_ASSETS, refreshed_range, week_tags
    from grpo_pipeline.cli.job_runs import run_job, terminal
    from grpo_pipeline.instance import open_instance

    artifacts = ArtifactStore(settings.artifacts)
    store = FeedbackStore(resolve_database_url(settings))
    earlier = [known for known in settings.complete_weeks() if known < week]
    stale = [item.week for item in stale_weeks(store, artifacts, earlier)]
    with open_instance(settings) as instance, terminal() as console:
        if stale:
            span = week_tags(*refreshed_range(artifacts, stale))
            title = f"Bringing {len(stale)} week{'s' if len(stale) > 1 else ''} up to date"
            done = run_job(instance, console, "data_job", span, title, DATA_ASSETS)
            if not done.success:
                return list(done.problems)
        assets = [*DATA_ASSETS, *MODEL_ASSETS]
        title = f"Week {week.key}"
        return list(run_job(instance, console, "weekly_training_job", week_tags(week, week), title, assets).problems)


def backfill_weeks(settings: Settings, weeks: Sequence[Week], *, data_only: bool = False) -> list[str]:
    """Make the data of all weeks in one run, then train them one after the other; the sentences of what failed."""
    from grpo_pipeline.automation import DATA_ASSETS, MODEL_ASSETS, week_tags
    from grpo_pipeline.cli.job_runs import run_job, terminal
    from grpo_pipeline.instance import open_instance

    resolve_database_url(settings)
    with open_instance(settings) as instance, terminal() as console:
        span = week_tags(weeks[0], weeks[-1])
        data = run_job(instance, console, "data_job", span, f"Data of {len(weeks)} weeks", DATA_ASSETS)
        if data_only or not data.success:
            return list(data.problems)
        problems = []
        for number, week in enumerate(weeks, start=1):
            title = f"Week {week.key} ({number} of {len(weeks)})"
            run = run_job(instance, console, "weekly_training_job", week_tags(week, week), title, MODEL_ASSETS)
            problems += [f"{week.key}: {text}" for text in run.problems]
        return problems


def _finish(settings: Settings, weeks: Sequence[Week], problems: Sequence[str]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    artifacts = ArtifactStore(settings.artifacts)
    console.print(outcome_table(artifacts, weeks))
    _, why = _last_word(artifacts, weeks[-1])
    console.print(f"{weeks[-1].key}: {escape(why)}")
    for text in problems:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[red]Failed:[/red] {escape(text)}")
    if problems:
        raise typer.Exit(FAILED)
    console.print("Curves, tables and checks of these weeks: `grpo-pipeline dev`.")


def outcome_table(artifacts: ArtifactStore, weeks: Sequence[Week]) -> Table:
    """What became of each week, as far as it got."""
    table = Table("week", "train", "held out", "policy", "verdict", "champion after it", box=SIMPLE_HEAD)
    for column in table.columns[1:3]:
        column.justify = "right"
    for week in weeks:
        table.add_row(week.key, *_outcome(artifacts, week))
    return table


def _outcome(artifacts: ArtifactStore, week: Week) -> list[str]:
    dataset, policy, champion = (
        artifact.manifest if (artifact := artifacts.latest(asset, week.key)) else {}
        for asset in ("preference_dataset", "grpo_policy", "champion")
    )
    counts = dataset.get("counts", {})
    status, _ = _last_word(artifacts, week)
    return [
        str(counts.get("train", "-")),
        str(counts.get("held_out", "-")),
        ("trained" if policy["trained"] else "not trained") if policy else "-",
        f"[{COLORS[status]}]{status}[/]" if status in COLORS else status,
        champion.get("champion") or ("none" if champion else "-"),
    ]


def _last_word(artifacts: ArtifactStore, week: Week) -> tuple[str, str]:
    """Status and reason of the last verdict that there is about a week's data as it is now."""
    for asset in ("champion", "policy_evaluation", "grpo_policy", "preference_dataset"):
        artifact = artifacts.latest(asset, week.key)
        if artifact:
            verdict = artifact.manifest["verdict"]
            return str(verdict["status"]), str(verdict["reason"])
    return "-", "nothing was made"


@contextmanager
def interruptible() -> Iterator[None]:
    """Say how to go on where a long command is interrupted, and end with the exit code for it."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped; run the same command again to go on from there.")
        raise typer.Exit(INTERRUPTED) from None
