"""`grpo-pipeline preflight`: whether training would learn anything, and what it would cost, before it is started."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.training.caps import Spent, cap_in_the_way
from grpo_pipeline.training.ledger import read_ledger, week_seconds
from grpo_pipeline.training.preflight_process import REPORT_FILE, PreflightRun
from grpo_pipeline.training.process import run_watched

NO_GO = 3
HOUR = 3600.0
MODULE = "grpo_pipeline.training.preflight_process"


def preflight(
    week: Annotated[
        str | None, typer.Option(help="Monday of the week whose dataset is asked about; unset: the latest there is.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Trained version to sample from; unset: the base model."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Ask, before anything is trained, whether GRPO would learn something, and what training would cost.

    Samples a few groups of answers to the week's training prompts and scores them as training does. Training itself
    asks again, of the policy that its warm start leaves.

    Exit code 0: go. 1: something failed. 3: no-go, with the reason.
    """
    settings = load_settings()
    dataset = _dataset(settings, week)
    start = _starting_point(settings, model)
    report = _sampled(settings, dataset, start)
    over = over_cap(settings, report)
    go = report["go"] and over is None
    if as_json:
        typer.echo(json.dumps({**report, "go": go, "reason": over or report["reason"]}, indent=2))
    else:
        _show(settings, dataset, start, report, over)
    if not go:
        raise typer.Exit(NO_GO)


@dataclass(frozen=True)
class _StartingPoint:
    base_model: str | None
    adapter: Path | None
    name: str


def _dataset(settings: Settings, week: str | None) -> Artifact:
    artifacts = ArtifactStore(settings.artifacts)
    made = artifacts.weeks("preference_dataset")
    if week is None and not made:
        raise PipelineError(
            "There is no dataset yet: make one with `grpo-pipeline backfill --from MONDAY --to MONDAY --data-only`."
        )
    return artifacts.require("preference_dataset", week or made[-1])


def _starting_point(settings: Settings, version: str | None) -> _StartingPoint:
    if version is None:
        return _StartingPoint(settings.training.base_model, None, "the base model")
    known = ModelRegistry(resolve_database_url(settings)).get(version)
    if not known.adapter_location:
        raise PipelineError(f"{version} has no adapter to sample from: `grpo-pipeline models show {version}`.")
    return _StartingPoint(known.base_model, Path(known.adapter_location), version)


def _reward_model(settings: Settings, dataset: Artifact) -> Path | None:
    """The week's reward model where it was made and passed its gate."""
    made = ArtifactStore(settings.artifacts).latest("reward_model", dataset.week)
    return made.path if made and made.manifest["used"] else None


def _sampled(settings: Settings, dataset: Artifact, start: _StartingPoint) -> dict[str, Any]:
    """The report of a process of its own, which shows its progress on this terminal."""
    # Dagster takes seconds to import; the other commands should not wait for it.
    from grpo_pipeline.resources.trainer import LaunchSettings, build_command

    with tempfile.TemporaryDirectory(prefix="grpo-preflight-") as folder:
        output = Path(folder) / "output"
        run = PreflightRun(
            dataset_dir=dataset.path,
            output_dir=output,
            home=settings.home,
            adapter=start.adapter,
            reward_model_dir=_reward_model(settings, dataset),
            devices=LaunchSettings().processes,
            settings=settings.training.model_copy(update={"base_model": start.base_model}),
        )
        config = Path(folder) / "run.json"
        config.write_text(run.model_dump_json(), encoding="utf-8")
        code = run_watched(build_command(MODULE, config, "python", 1))
        if code:
            raise typer.Exit(code)
        report: dict[str, Any] = json.loads((output / REPORT_FILE).read_text(encoding="utf-8"))
    return report


def over_cap(settings: Settings, report: Mapping[str, Any]) -> str | None:
    """The sentence about the first cap that training would exceed by a report's estimate, or None."""
    used = week_seconds(read_ledger(settings.home), datetime.now(UTC)) / HOUR
    return cap_in_the_way(settings.training, Spent(0.0, used), _device_hours(report))


def _device_hours(report: Mapping[str, Any]) -> float:
    return float(report["warm_start_device_hours"] + report["device_hours"])


def _show(
    settings: Settings, dataset: Artifact, start: _StartingPoint, report: Mapping[str, Any], over: str | None
) -> None:
    console = Console(soft_wrap=True, highlight=False)
    table = Table(show_header=False, title=f"Pre-flight of week {dataset.week}")
    for name, value in _rows(settings, start, report):
        table.add_row(name, escape(value))
    console.print(table)
    color = "green" if report["go"] and not over else "red"
    console.print(f"[{color}]{escape(over or report['reason'])}[/{color}]")
    if start.adapter is None and report["warm_start"] and not report["go"]:
        console.print("The warm start comes first and may change this: training asks again after it.")


def _rows(settings: Settings, start: _StartingPoint, report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "sampled from", f"{start.name} ({report['base_model']})"
    yield "answers", f"{report['answers']} to {report['prompts']} prompts, in {report['seconds']:.0f} s"
    yield "dead groups", f"{report['dead_groups']:.0%}"
    low, high = report["useful_groups_low"], report["useful_groups_high"]
    yield "useful groups", f"{report['useful_groups']:.0%} (80 % interval {low:.0%} to {high:.0%})"
    yield "useful groups a step", f"{report['useful_groups_per_step']:.1f}"
    yield "answers cut off", f"{report['cut_answers']:.0%}"
    yield "reward", f"mean {report['reward_mean']:.3f}, spread in a group {report['reward_spread']:.3f}"
    yield "noise of the reward", f"{report['reward_noise']:.3f}"
    yield (
        "GRPO",
        f"{report['steps']} steps of {report['seconds_per_step']:.1f} s and {report['tokens_per_step']:.0f} tokens",
    )
    if report["warm_start_device_hours"]:
        yield "warm start", f"about {_duration(report['warm_start_device_hours'])}"
    yield "training in all", f"about {_duration(_device_hours(report))} of device time"
    price = settings.training.price_per_hour
    if price:
        yield "cost", f"about {_device_hours(report) * price:.2f} at {price:g} an hour"
    used = week_seconds(read_ledger(settings.home), datetime.now(UTC)) / HOUR
    yield "used this calendar week", _duration(used) + (f", {used * price:.2f}" if price else "")


def _duration(hours: float) -> str:
    if hours < 1 / 30:
        return f"{hours * HOUR:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.1f} h"
