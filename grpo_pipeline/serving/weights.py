"""A model's weights as a folder that other programs read, there whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grpo_pipeline.artifacts import flush_tree
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.serving.guarded import start_guarded, stop_guarded
from grpo_pipeline.serving.model import Model
from grpo_pipeline.training.merge_weights import MergeRun

MODULE = "grpo_pipeline.training.merge_weights"
ERROR = "Error: "
# Beside the weights while they are written: the merging process's config file and locks.
WEIGHTS = "weights"


async def write_merged(model: Model, home: Path, place: Path) -> None:
    """Write a model's base and adapter, merged, with tokenizer and chat template.

    The base model stays as it is; the sum is rounded once, to the type that the base model is kept in.

    Args:
        model: the model.
        home: the folder of everything local, where base models are.
        place: the folder to make; its parent is made too.

    Raises:
        PipelineError: the place is taken or cannot be written, or the model cannot be loaded.
    """
    with _appearing(place) as draft:
        run = MergeRun(home=home, base_model=model.base_model, adapter=model.adapter, output_dir=draft / WEIGHTS)
        config = draft / "run.json"
        config.write_text(run.model_dump_json(), encoding="utf-8")
        command = [sys.executable, "-m", MODULE, "--config", str(config)]
        process = await start_guarded(command, draft / "lock", folder=draft, environment=os.environ)
        try:
            said, _ = await process.communicate()
        finally:
            await stop_guarded(process)
        if process.returncode:
            lines = said.decode(errors="replace").splitlines()
            sentence = next((line.removeprefix(ERROR) for line in reversed(lines) if line.startswith(ERROR)), None)
            raise PipelineError(
                sentence or f"Merging {model.name} ended with exit code {process.returncode}: {' '.join(lines[-1:])}"
            )


def write_adapter(model: Model, place: Path) -> None:
    """Copy a model's adapter alone, as PEFT and vLLM read it.

    Raises:
        PipelineError: the place is taken or cannot be written, or the model is a base model.
    """
    if model.adapter is None:
        raise PipelineError(f"{model.name} has no adapter.")
    with _appearing(place) as draft:
        shutil.copytree(model.adapter, draft / WEIGHTS)


@contextmanager
def _appearing(place: Path) -> Iterator[Path]:
    """A draft folder whose `weights` become the place at the end, or nothing does."""
    if place.exists():
        raise PipelineError(f"{place} exists already: choose another folder, or remove it.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.draft-", dir=place.parent))
    except OSError as error:
        raise PipelineError(f"{place.parent} cannot be written ({error.strerror}): choose another folder.") from error
    try:
        yield draft
        flush_tree(draft / WEIGHTS)
        (draft / WEIGHTS).rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
