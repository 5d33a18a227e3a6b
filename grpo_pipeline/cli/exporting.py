"""`grpo-pipeline models export`: a trained policy as files for other programs."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from grpo_pipeline.config import load_settings
from grpo_pipeline.postgres.connection import resolve_database_url
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.serving.model import Model
from grpo_pipeline.serving.weights import write_adapter, write_merged


class Form(StrEnum):
    """What is written of a policy."""

    adapter = "adapter"
    merged = "merged"


def export(
    version: Annotated[str, typer.Argument(help="The version's name, as `models list` shows it.")],
    to: Annotated[Path, typer.Option(help="Folder to make.")],
    form: Annotated[
        Form,
        typer.Option(
            "--as",
            help="merged: all weights with tokenizer and chat template, as transformers, vLLM and llama.cpp's "
            "converter to GGUF read them; adapter: the LoRA adapter alone.",
        ),
    ] = Form.merged,
) -> None:
    """Write a policy to a folder for other programs."""
    settings = load_settings()
    model = Model.of(ModelRegistry(resolve_database_url(settings)).get(version))
    place = to.expanduser().absolute()
    if form is Form.adapter:
        write_adapter(model, place)
    else:
        asyncio.run(write_merged(model, settings.home, place))
    Console(soft_wrap=True, highlight=False).print(f"{version} is in {place}.", markup=False)
