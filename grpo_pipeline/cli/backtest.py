"""`grpo-pipeline backtest`: would the past weeks' policies have helped in the week after theirs?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_pipeline.artifacts import ArtifactStore, write_atomically
from grpo_pipeline.cli.training import FAILED, backfill_weeks, chosen_weeks, interruptible
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.fingerprints import fingerprint_rows
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.weeks import Week

COLORS = {"yes": "green", "no: worse": "red"}


def backtest(
    first: Annotated[
        str | None, typer.Option("--from", help="Monday of the first week; unset: the first one with pairs.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Monday of the last week; unset: the one before the last one with pairs.")
    ] = None,
    train: Annotated[
        bool,
        typer.Option("--train/--no-train", help="Train the policies of weeks that have none; else leave them out."),
    ] = True,
) -> None:
    """Score each past week's policy on the week after, against the base model and what was in use then.

    A policy of week t learned from weeks up to t; the pairs of week t + 1 are what it would have met. A policy that
    was trained then is used as it is; the model registry and the champion are not touched. Run again, it takes only
    what is missing.

    Exit code 0: there is an answer for at least one week. 1: for none, or something failed.
    """
    settings = load_settings()
    weeks = _weeks(settings, first, last)
    with interruptible():
        outcome, skipped = _run(settings, weeks, train=train)
    console = Console(highlight=False)
    for week, reason in skipped.items():
        console.print(f"[yellow]left out[/yellow] {week}: {escape(reason)}", soft_wrap=True)
    if outcome.is_empty():
        raise typer.Exit(FAILED)
    console.print(_table(outcome))
    folder = _write(settings, weeks, outcome, skipped)
    console.print(f"Table, numbers and plot: {folder}; in the UI: the asset backtest.", soft_wrap=True)


def _weeks(settings: Settings, first: str | None, last: str | None) -> list[Week]:
    complete = settings.complete_weeks()
    if len(complete) < 2:
        raise PipelineError("A backtest needs two complete weeks: one to train on and the one after to score on.")
    store = FeedbackStore(resolve_database_url(settings))
    found = store.fingerprints(complete[0], complete[-1])["preference_pairs"]
    filled = [week for week in complete if week.key in found and fingerprint_rows(found[week.key])]
    if len(filled) < 2:
        raise PipelineError("A backtest needs pairs of two weeks: one to train on and a later one to score on.")
    weeks = chosen_weeks(settings, first or filled[0].key, last or filled[-1].shift(-1).key)
    if weeks[-1] == complete[-1]:
        raise PipelineError(f"Week {weeks[-1].key} has no complete week after it to score on: give an earlier --to.")
    return weeks


def _run(settings: Settings, weeks: Sequence[Week], *, train: bool) -> tuple[pl.DataFrame, dict[str, str]]:
    # Dagster takes seconds to import; the other commands should not wait for it.
    from grpo_pipeline.backtest.outcome import BacktestWeek, outcome_table
    from grpo_pipeline.cli.backtest_weeks import Backtest, NotPossible

    console = Console(soft_wrap=True, highlight=False)
    artifacts, registry = ArtifactStore(settings.artifacts), ModelRegistry(resolve_database_url(settings))
    _make_data(settings, artifacts, weeks)
    found: list[BacktestWeek] = []
    skipped: dict[str, str] = {}
    work = Backtest(settings, artifacts, registry, train, console.print)
    for number, week in enumerate(weeks, start=1):
        console.print(f"Week {week.key} ({number} of {len(weeks)})")
        try:
            found.append(work.week(week))
        except NotPossible as reason:
            skipped[week.key] = str(reason)
        except PipelineError as error:
            skipped[week.key] = f"failed: {error}"
    return outcome_table(found, settings.evaluation), skipped


def _make_data(settings: Settings, artifacts: ArtifactStore, weeks: Sequence[Week]) -> None:
    """Make the data of the weeks and of the one after, where some of it was never made."""
    needed = [*weeks, weeks[-1].shift(1)]
    if all(artifacts.latest("preference_dataset", week.key) for week in needed):
        return
    problems = backfill_weeks(settings, needed, data_only=True)
    if problems:
        raise PipelineError("; ".join(problems))


def _table(outcome: pl.DataFrame) -> Table:
    """Each week against what was in use then, and all weeks together also against the base model."""
    from grpo_pipeline.backtest.outcome import IN_USE, POOLED

    # Without the usual margins, so that weeks and numbers stay whole in 80 columns.
    table = Table(
        title="Would it have helped in the week after?",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
        show_edge=False,
    )
    table.add_column("week", no_wrap=True)
    for name, width in {"pairs": 7, "metric": 11, "against": 7}.items():
        table.add_column(name, width=width)
    table.add_column("difference (interval)", no_wrap=True)
    table.add_column("pairs (people)", justify="right", min_width=8)
    table.add_column("helped")
    before = None
    for row in outcome.filter((pl.col("against") == IN_USE) | (pl.col("week") == POOLED)).iter_rows(named=True):
        if row["week"] == POOLED and before != POOLED:
            table.add_section()
        before = row["week"]
        interval = "" if row["low"] is None else f" ({row['low']:+.2f} to {row['high']:+.2f})"
        color = COLORS.get(row["helped"])
        table.add_row(
            row["week"],
            row["pairs_of"],
            row["label"],
            row["against"],
            f"{row['difference']:+.2f}{interval}",
            f"{row['pairs']} ({row['contributors']})",
            f"[{color}]{row['helped']}[/]" if color else row["helped"],
        )
    return table


def _write(settings: Settings, weeks: Sequence[Week], outcome: pl.DataFrame, skipped: dict[str, str]) -> Path:
    from grpo_pipeline.assets.backtest import report_backtest
    from grpo_pipeline.cli.backtest_weeks import FOLDER
    from grpo_pipeline.instance import open_instance
    from grpo_pipeline.plots import backtest_weeks

    folder = settings.home / FOLDER / f"{weeks[0].key}_{weeks[-1].key}"
    folder.mkdir(parents=True, exist_ok=True)
    outcome.write_parquet(folder / "backtest.parquet")
    write_atomically(
        folder / "backtest.json",
        json.dumps({"outcome": outcome.to_dicts(), "left_out": skipped}, indent=2, allow_nan=False),
    )
    picture = backtest_weeks(outcome.to_dicts())
    if picture:
        (folder / "backtest.png").write_bytes(picture)
    with open_instance(settings) as instance:
        report_backtest(instance, outcome, folder)
    return folder
