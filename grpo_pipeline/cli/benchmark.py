"""`grpo-pipeline benchmark`: how trained policies do on questions that others wrote."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_pipeline.artifacts import ArtifactStore, write_atomically
from grpo_pipeline.benchmark.bfcl import CATEGORIES, load_questions
from grpo_pipeline.benchmark.report import report, write_questions
from grpo_pipeline.config import Settings, load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.answer_config import AnswerRun, Respondent
from grpo_pipeline.tool_calling.names import BASE, POLICY_ASSET, policy_respondents
from grpo_pipeline.training.process import run_watched
from grpo_pipeline.training.profiles import detect_hardware, resolve

FAILED = 1

benchmark_app = typer.Typer(name="benchmark", help="Measure policies on data written by others.", no_args_is_help=True)


@benchmark_app.command()
def bfcl(
    category: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(CATEGORIES)}; repeatable, unset: all.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many questions of each.")] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER of an adapter; repeatable. Unset: the last tool_calling_policy."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions answered at once.")] = 32,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="Of sampling; 0 for each model's likeliest answer. Training samples at 1.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Berkeley Function-Calling Leaderboard: its questions and its checker; nothing of it is trained on.

    The base model, then each adapter; every model is compared with the one before it on the same questions.
    Models that have answered the same questions before are not asked again.
    """
    settings = load_settings()
    questions = load_questions(category or CATEGORIES, limit)
    respondents = chosen_respondents(settings, adapter)
    asked = hashlib.sha256(" ".join(item.id for item in questions).encode()).hexdigest()[:12]
    sampled = f"-temperature-{temperature:g}" if temperature else ""
    folder = settings.home / "benchmarks" / f"bfcl-{asked}{sampled}"
    file = write_questions(questions, folder)
    ask(
        AnswerRun(
            questions=file,
            output_dir=folder,
            home=settings.home,
            respondents=respondents,
            batch_size=batch_size,
            temperature=temperature,
        )
    )
    found = {"temperature": temperature, **report(questions, respondents, folder)}
    write_atomically(folder / "report.json", json.dumps(found, indent=2))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    show(found)


def chosen_respondents(settings: Settings, adapters: Sequence[str] | None) -> tuple[Respondent, ...]:
    """The base model and the adapters named, or the phases of the last tool-calling policy.

    Raises:
        PipelineError: an adapter is not written as NAME=FOLDER, or nothing was trained yet.
    """
    if adapters is None:
        found = policy_respondents(ArtifactStore(settings.artifacts))
        if found is None:
            raise PipelineError(
                f"No {POLICY_ASSET} was trained yet: run `grpo-pipeline tools`, or name adapters with "
                "--adapter NAME=FOLDER."
            )
        return found
    base = resolve(settings.training, detect_hardware()).base_model
    respondents = [Respondent(name=BASE, base_model=base)]
    for text in adapters:
        name, separator, folder = text.partition("=")
        if not separator or not name.replace("_", "").replace("-", "").isalnum():
            raise PipelineError(f"--adapter {text}: write it as NAME=FOLDER, such as grpo=/models/adapter.")
        respondents.append(Respondent(name=name, base_model=base, adapter=Path(folder).absolute()))
    return tuple(respondents)


def ask(run: AnswerRun) -> None:
    """Have the models answer, in a process of its own that loads torch.

    Raises:
        typer.Exit: the process failed; it has said why.
    """
    config = run.output_dir / "run.json"
    config.write_text(run.model_dump_json(indent=2), encoding="utf-8")
    command = [sys.executable, "-m", "grpo_pipeline.evaluation.answer", "--config", str(config)]
    if run_watched(command):
        raise typer.Exit(FAILED)


def show(found: Mapping[str, Any]) -> None:
    """Print the tables of a report."""
    console = Console(highlight=False)
    drawn = f", sampled at temperature {found['temperature']:g}" if found["temperature"] else ""
    shares = Table("category", *found["shares"], title=f"right answers (95 % interval){drawn}", box=SIMPLE_HEAD)
    for part in ("shares", "said"):
        for name in next(iter(found[part].values())):
            shares.add_row(name, *(_share(model[name]) for model in found[part].values()))
        shares.add_section()
    console.print(shares)
    for title, rows in found["differences"].items():
        table = Table(title=escape(title), box=SIMPLE_HEAD, padding=0)
        for column in ("category", "n", "difference", "interval", "only after", "only before", "p"):
            table.add_column(column, no_wrap=True)
        for name, row in rows.items():
            interval = f"{row['low']:+.3f} to {row['high']:+.3f}"
            counts = (str(row["gained"]), str(row["lost"]))
            table.add_row(name, str(row["n"]), f"{row['difference']:+.3f}", interval, *counts, f"{row['p']:.2g}")
        console.print(table)


def _share(row: Mapping[str, Any]) -> str:
    return f"{row['share']:.3f} ({row['low']:.3f} to {row['high']:.3f}), {row['right']} of {row['n']}"
