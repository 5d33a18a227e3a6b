"""`grpo-pipeline tools`: the tool-calling track from scenarios to an evaluated policy."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.cli.training import FAILED, interruptible
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.tool_calling.measure import model_to_use
from grpo_pipeline.tool_calling.names import EVALUATION_ASSET, POLICY_ASSET, UNDATED, respondents
from grpo_pipeline.tool_calling.scoring import ALL


def tools() -> None:
    """Train a policy to call tools, on synthetic scenarios whose right answers are known, and measure it.

    Makes the scenarios, warm-starts on them, goes on with GRPO, and compares the base model, the policy after its warm
    start and after GRPO on scenarios of other tasks. No feedback is needed. The same settings are never trained twice.

    Exit code 0: it was measured, whatever came of it. 1: something failed.
    """
    settings = load_settings()
    with interruptible():
        problems = _run(settings)
    for text in problems:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[red]Failed:[/red] {escape(text)}")
    if problems:
        raise typer.Exit(FAILED)
    _show(settings)


def _run(settings: Settings) -> list[str]:
    # Dagster takes seconds to import; the other commands should not wait for it.
    from grpo_pipeline.automation import TOOL_CALLING_ASSETS
    from grpo_pipeline.cli.job_runs import run_job, terminal
    from grpo_pipeline.instance import open_instance

    with open_instance(settings) as instance, terminal() as console:
        return list(run_job(instance, console, "tool_calling_job", {}, "Tool calling", TOOL_CALLING_ASSETS).problems)


def _show(settings: Settings) -> None:
    artifacts = ArtifactStore(settings.artifacts)
    found = artifacts.require(EVALUATION_ASSET, UNDATED).manifest
    table = Table("category", *found["shares"], title="right answers to held-out scenarios (95 % interval)")
    for category in found["shares"]["base"]:
        cells = [found["shares"][model][category] for model in found["shares"]]
        shown = [f"{cell['share']:.3f} ({cell['low']:.3f} to {cell['high']:.3f}) of {cell['n']}" for cell in cells]
        table.add_row("all" if category == ALL else category, *shown)
    console = Console(highlight=False)
    console.print(table)
    console.print(escape(found["verdict"]["reason"]))
    adapters = {item.name: item.adapter for item in respondents(artifacts.require(POLICY_ASSET, UNDATED))}
    best = model_to_use(found["differences"], list(found["shares"]))
    place = f"its adapter is in {adapters[best]}" if adapters[best] else "nothing trained is credibly better"
    console.print(escape(f"The model to use is {best}: {place}"), soft_wrap=True)
    console.print("On questions that others wrote: `grpo-pipeline benchmark bfcl`.")
