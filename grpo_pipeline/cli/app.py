"""The command line: `grpo-pipeline` and `python -m grpo_pipeline` are the same program."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from grpo_pipeline.cli.backtest import backtest
from grpo_pipeline.cli.benchmark import benchmark_app
from grpo_pipeline.cli.database import database_app
from grpo_pipeline.cli.demo import demo
from grpo_pipeline.cli.development import dev
from grpo_pipeline.cli.importing import import_command
from grpo_pipeline.cli.keys import keys_app
from grpo_pipeline.cli.model_serving import serve_model
from grpo_pipeline.cli.models import models_app
from grpo_pipeline.cli.preflight import preflight
from grpo_pipeline.cli.serving import serve
from grpo_pipeline.cli.tools import tools
from grpo_pipeline.cli.training import backfill, train
from grpo_pipeline.cli.weeks import weeks_app
from grpo_pipeline.errors import PipelineError

app = typer.Typer(
    name="grpo-pipeline",
    help="Turns each week of user feedback into a better model, or says clearly why not.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(demo)
app.command("import")(import_command)
app.command()(train)
app.command()(backfill)
app.command()(backtest)
app.command()(preflight)
app.command()(tools)
app.command()(dev)
app.command()(serve)
app.command()(serve_model)
app.add_typer(weeks_app)
app.add_typer(models_app)
app.add_typer(keys_app)
app.add_typer(benchmark_app)
app.add_typer(database_app)


def main() -> None:
    """Run the command line; an error a person can put right is one sentence and exit code 1."""
    try:
        app()
    except PipelineError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]Error:[/red] {escape(str(error))}", highlight=False)
        sys.exit(1)
