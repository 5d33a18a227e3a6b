"""`grpo-pipeline import`: existing preference data becomes feedback."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.importing.importer import ImportReport, import_feedback
from grpo_pipeline.feedback.importing.sources import read_source, source_name
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.weeks import Week, last_complete_week, weeks_between

DEFAULT_WEEKS = 12
SHOWN_REASONS = 5
PROGRESS_STEPS = 1_000

_console = Console(soft_wrap=True, highlight=False)


def import_command(
    source: Annotated[
        str, typer.Argument(help="A file (JSON, JSON lines, each plain or .gz, Parquet) or a Hub data set, owner/name.")
    ],
    first: Annotated[
        str | None, typer.Option("--from", help="Monday of the first week to spread the rows over.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Monday of the last week to spread the rows over.")] = None,
    weeks: Annotated[
        int | None,
        typer.Option(min=1, help=f"Instead: this many weeks up to the last complete one (default {DEFAULT_WEEKS})."),
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where rejected lines and reasons go (default: `imports` in GRPO_HOME).")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of a Hub data set.")] = "train",
    create_users: Annotated[
        bool | None,
        typer.Option(help="Add users the database does not know (default: only in the embedded one), or reject them."),
    ] = None,
) -> None:
    """Load existing preference data as feedback, spread over weeks; loading the same data again changes nothing.

    Understood: TRL preference (standard or conversational, implicit prompt too), TRL unpaired (`label`), ShareGPT
    with `chosen` and `rejected`, with `label` or with `tools`, and the payload `prompt, response, corrections,
    feedbackType, score` with `modelVersion, sessionId, userId, tools, metadata, createdAt` where there are any.

    A record that cannot be used is left out, with its line and the reason in the rejects file; the others load.
    Exit code 0: something was loaded, or all of it was there already. 1: nothing could be loaded.
    """
    settings = load_settings()
    chosen = _weeks(settings, first, last, weeks)
    # A source that is not there is told before a database starts.
    read_source(source, split)
    path = rejects or settings.home / "imports" / f"{source_name(source)}.rejects.jsonl"
    url = resolve_database_url(settings)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[read]:,} records"),
        TimeElapsedColumn(),
    ) as bar:
        task = bar.add_task(f"Importing {source_name(source)}", total=None, read=0)

        def advance(read: int, share: float | None) -> None:
            if read % 100 == 0 or share == 1:
                total = None if share is None else PROGRESS_STEPS
                bar.update(task, read=read, total=total, completed=(share or 0) * PROGRESS_STEPS)

        report = import_feedback(
            url,
            source,
            chosen,
            path,
            split=split,
            create_users=settings.database_url is None if create_users is None else create_users,
            on_progress=advance,
        )
        bar.update(task, read=report.read, total=PROGRESS_STEPS, completed=PROGRESS_STEPS)
    _show(report, chosen)


def _weeks(settings: Settings, first: str | None, last: str | None, count: int | None) -> list[Week]:
    if count is not None and (first or last):
        raise PipelineError("Give either --weeks, or --from and --to.")
    if bool(first) != bool(last):
        raise PipelineError("Give both --from and --to, each a Monday such as 2026-11-02.")
    if first and last:
        begin, end = Week(first), Week(last)
        if end < begin:
            raise PipelineError(f"--to {last} lies before --from {first}: exchange them.")
    else:
        end = last_complete_week(datetime.now(UTC), settings.grace)
        begin = end.shift(1 - (count or DEFAULT_WEEKS))
    settings.require_complete(begin)
    settings.require_complete(end)
    return weeks_between(begin, end)


def _show(report: ImportReport, weeks: list[Week]) -> None:
    span = weeks[0].key if len(weeks) == 1 else f"{weeks[0].key} to {weeks[-1].key}"
    table = Table(title=f"{report.read:,} records, weeks {span}", title_justify="left")
    table.add_column("what became of them")
    table.add_column("records", justify="right")
    table.add_row("imported", f"{report.imported:,}")
    for what, count in (
        ("already there", report.present),
        ("deleted earlier, not loaded again", report.erased),
        ("rejected", report.rejected),
    ):
        if count:
            table.add_row(what, f"{count:,}")
    table.add_section()
    for form, count in sorted(report.by_format.items()):
        table.add_row(f"read as {form}", f"{count:,}")
    table.add_section()
    for kind, count in sorted(report.by_type.items()):
        table.add_row(kind, f"{count:,}")
    _console.print(table)
    if report.rejected:
        where = f"{report.rejected:,} rejected; every line and reason is in {report.rejects_file}:"
        _console.print(where, markup=False)
        shown = list(report.reasons.items())
        for reason, count in shown[:SHOWN_REASONS]:
            _console.print(f"  {count:,} x {reason}", markup=False)
        if len(shown) > SHOWN_REASONS:
            _console.print(f"  and {len(shown) - SHOWN_REASONS:,} other reasons")
