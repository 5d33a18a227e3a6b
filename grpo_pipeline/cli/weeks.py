"""`grpo-pipeline weeks`: what each week holds, and which are out of date."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.fingerprints import Fingerprints, fingerprint_rows
from grpo_pipeline.feedback.staleness import extracted_fingerprint, stale_weeks
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.feedback.tables import TABLES
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.weeks import Week

SOME_ARE_STALE = 3

weeks_app = typer.Typer(name="weeks", help="What each week holds, and which are out of date.", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)


@weeks_app.command("list")
def list_weeks() -> None:
    """Show every complete week: its feedback and pairs, and whether it was extracted and trained.

    Weeks before the first one with any feedback are left out.
    """
    settings = load_settings()
    weeks = _complete_weeks(settings)
    artifacts = ArtifactStore(settings.artifacts)
    found = FeedbackStore(resolve_database_url(settings)).fingerprints(weeks[0], weeks[-1])
    table = Table("week", "feedback", "pairs", "extracted", "trained")
    for column in table.columns[1:3]:
        column.justify = "right"
    shown = [week for week in weeks if _extracted(artifacts, found, week) != "no" or _rows(found, week)]
    if not shown:
        _console.print(
            "No feedback yet. Load some: `grpo-pipeline import FILE`, or see the demo: `grpo-pipeline demo`."
        )
        return
    for week in weeks[weeks.index(shown[0]) :]:
        counts = [f"{fingerprint_rows(found[name][week.key]):,}" for name in TABLES]
        table.add_row(week.key, *counts, _extracted(artifacts, found, week), _trained(artifacts, week))
    _console.print(table)


@weeks_app.command()
def stale() -> None:
    """Name the weeks whose rows came late, changed or were deleted since they were extracted, or never were extracted.

    Exit code 0: every week is up to date. 3: some are not.
    """
    settings = load_settings()
    weeks = _complete_weeks(settings)
    store = FeedbackStore(resolve_database_url(settings))
    found = stale_weeks(store, ArtifactStore(settings.artifacts), weeks)
    if not found:
        _console.print("Every week is as the database has it.")
        return
    for item in found:
        _console.print(f"{item.week.key}  {'; '.join(item.reasons)}")
    first, last = found[0].week.key, found[-1].week.key
    _console.print(f"Bring them up to date: `grpo-pipeline backfill --from {first} --to {last}`.")
    raise typer.Exit(SOME_ARE_STALE)


def _complete_weeks(settings: Settings) -> list[Week]:
    weeks = settings.complete_weeks()
    if not weeks:
        raise PipelineError(
            f"No week is complete yet: the first one starts on {settings.first_week} (GRPO_FIRST_WEEK)."
        )
    return weeks


def _rows(found: Fingerprints, week: Week) -> int:
    return sum(fingerprint_rows(found[table][week.key]) for table in TABLES)


def _extracted(artifacts: ArtifactStore, found: Fingerprints, week: Week) -> str:
    held = {table: artifacts.latest(table, week.key) for table in TABLES}
    known = {table: extracted_fingerprint(artifact) for table, artifact in held.items() if artifact}
    if not known:
        return "no"
    fresh = all(known.get(table) == found[table][week.key] for table in TABLES)
    return "yes" if fresh else "stale"


def _trained(artifacts: ArtifactStore, week: Week) -> str:
    policy = artifacts.latest("grpo_policy", week.key)
    return "yes" if policy and policy.manifest.get("trained") else "no"
