"""The Dagster instance: where its runs are kept and how it is opened."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

import grpo_pipeline
from grpo_pipeline.artifacts import write_atomically
from grpo_pipeline.config import Settings

PACKAGE = Path(grpo_pipeline.__file__).parent


def instance_file() -> Path:
    """The project's dagster.yaml: in the root of a checkout, or in the installed package."""
    checkout = PACKAGE.parent / "dagster.yaml"
    return checkout if checkout.exists() else PACKAGE / "_dagster.yaml"


def prepare_dagster_home(settings: Settings) -> Path:
    """Make DAGSTER_HOME, with the project's dagster.yaml in it, and set the variable for this process and its children.

    A DAGSTER_HOME that is set already, outside the project's home, is somebody's own instance and stays as it is.
    """
    own = settings.home / "dagster"
    chosen = os.environ.get("DAGSTER_HOME")
    if chosen and Path(chosen) != own:
        return Path(chosen)
    own.mkdir(parents=True, exist_ok=True)
    text = instance_file().read_text(encoding="utf-8")
    copy = own / "dagster.yaml"
    if not copy.exists() or copy.read_text(encoding="utf-8") != text:
        write_atomically(copy, text)
    os.environ["DAGSTER_HOME"] = str(own)
    # Runs work on the same folders wherever their process starts.
    os.environ["GRPO_HOME"] = str(settings.home)
    return own


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that the UI, the daemon and the command line share; close it after use."""
    prepare_dagster_home(settings)
    return dg.DagsterInstance.get()
