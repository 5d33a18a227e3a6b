"""`grpo-pipeline models`: the trained policies, and which one is in use."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_pipeline.cli.exporting import export
from grpo_pipeline.config import load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.registry.registry import ModelRegistry, Promotion
from grpo_pipeline.registry.traffic import set_share

REFUSED = 3
COLORS = {"champion": "green", "rejected": "red", "retired": "dim"}

models_app = typer.Typer(name="models", help="The trained policies, and which one is in use.", no_args_is_help=True)
models_app.command()(export)
_console = Console(soft_wrap=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
By = Annotated[str | None, typer.Option(help="Who decides; unset: the name you are logged in with.")]


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show every trained policy, the latest week first."""
    models = _registry().list()
    if as_json:
        _print_json([model.as_json() for model in models])
        return
    if not models:
        _console.print("No model was trained yet. Train one: `grpo-pipeline train`.")
        return
    table = Table("version", "method", "status", "verdict", "base model", "promoted", "by")
    # The version is what the other commands want to be given: it is never cut off.
    table.columns[0].no_wrap, table.columns[0].min_width = True, max(len(model.version) for model in models)
    for model in models:
        verdict = model.verdict.status if model.verdict else "-"
        promoted = _day(model.promoted_at)
        table.add_row(
            model.version,
            escape(str(model.metrics.get("method", "-"))),
            _status(model),
            verdict,
            escape(model.base_model),
            promoted,
            escape(model.promoted_by or "-"),
        )
    _console.print(table)


@models_app.command()
def show(
    version: Annotated[str | None, typer.Argument(help="The version's name; unset: the champion.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one policy: what it is made of, how it was judged, where its adapter is."""
    registry = _registry()
    model = registry.get(version) if version else registry.champion()
    if model is None:
        raise PipelineError("There is no champion yet: `grpo-pipeline models list` shows what was trained.")
    if as_json:
        _print_json(model.as_json())
        return
    table = Table(show_header=False)
    for name, value in _facts(model):
        table.add_row(name, value)
    _console.print(table)
    if model.metrics:
        metrics = Table("metric", "value")
        for name, value in _flat(model.metrics):
            metrics.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
        _console.print(metrics)


@models_app.command()
def promote(
    version: Annotated[str, typer.Argument(help="The version's name, as `models list` shows it.")],
    reason: Annotated[str | None, typer.Option(help="Why, for the registry.")] = None,
    by: By = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where it did not pass, was rejected, or is of an older week.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a policy in use in place of the champion.

    Exit code 0: it is the champion. 3: refused, and nothing changed.
    """
    if force and not reason:
        raise typer.BadParameter("say why in --reason when you use --force.")
    promotion = _registry().promote(version, by or getpass.getuser(), reason or "promoted by a person", force=force)
    if as_json:
        _print_json(_promotion_json(promotion))
    elif promotion.outcome == "refused":
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"[red]Not promoted:[/red] {escape(promotion.reason)} To promote it all the same: --force with a --reason."
        )
    elif promotion.outcome == "already_champion":
        _console.print(promotion.reason)
    else:
        _console.print(f"{version} is now the champion{_in_place_of(promotion)}.")
    if promotion.outcome == "refused":
        raise typer.Exit(REFUSED)


@models_app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why, for the registry.")], by: By = None, as_json: AsJson = False
) -> None:
    """Put the champion before this one back in use; the one rolled back will not be promoted again by itself."""
    promotion = _registry().rollback(by or getpass.getuser(), reason)
    if as_json:
        _print_json(_promotion_json(promotion))
        return
    champion = promotion.champion.version if promotion.champion else "-"
    _console.print(f"{champion} is the champion again{_in_place_of(promotion)}.")


@models_app.command()
def share(
    version: Annotated[str, typer.Argument(help="The version's name, as `models list` shows it.")],
    fraction: Annotated[float, typer.Argument(help="Share of the users, such as 0.1; 0 ends it.")],
    by: By = None,
) -> None:
    """Let a share of the users try a version beside the champion: the API assigns it to them."""
    found = set_share(resolve_database_url(load_settings()), version, fraction, by or getpass.getuser())
    shares = [f"{item.version} {item.share:.0%}" for item in found]
    rest = 1 - sum(item.share for item in found)
    _console.print(f"Traffic: {', '.join([f'champion {rest:.0%}', *shares])}.")


def _registry() -> ModelRegistry:
    return ModelRegistry(resolve_database_url(load_settings()))


def _in_place_of(promotion: Promotion) -> str:
    return f", in place of {promotion.previous.version}" if promotion.previous else ""


def _promotion_json(promotion: Promotion) -> dict[str, Any]:
    return {
        "outcome": promotion.outcome,
        "reason": promotion.reason,
        "champion": promotion.champion.as_json() if promotion.champion else None,
        "previous": promotion.previous.as_json() if promotion.previous else None,
    }


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _status(model: ModelVersion) -> str:
    color = COLORS.get(model.status)
    return f"[{color}]{model.status}[/{color}]" if color else model.status


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "-"


def _facts(model: ModelVersion) -> Iterator[tuple[str, str]]:
    yield "version", model.version
    yield "week", model.week.key
    yield "status", _status(model) + (f" ({escape(model.status_reason)})" if model.status_reason else "")
    if model.verdict:
        yield "verdict", f"{model.verdict.status}: {escape(model.verdict.reason)}"
    yield "base model", escape(model.base_model)
    yield "adapter", escape(model.adapter_location or "-")
    yield "dataset hash", model.dataset_hash or "-"
    yield "configuration hash", model.config_hash or "-"
    yield "registered", _day(model.created_at)
    yield "promoted", _day(model.promoted_at) + (f" by {escape(model.promoted_by)}" if model.promoted_by else "")


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in sorted(metrics.items()):
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
