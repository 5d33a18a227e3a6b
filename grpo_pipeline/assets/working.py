"""Folders in which training and evaluation work until their output is published; a retry goes on from them."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.artifacts import ArtifactStore, canonical_json
from grpo_pipeline.resources.trainer import LOCK_FILE

FOLDER = ".working"
OUTPUT = "output"
LEFT_AFTER_SECONDS = 24 * 3600


def work_key(*parts: Any) -> str:  # noqa: ANN401
    """16 hex digits that are equal where the same work is asked for."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:16]


def working_folder(artifacts: ArtifactStore, asset: str, week: str, key: str) -> Path:
    """The folder of one piece of work, on the store's own disk so that its output is published by a rename."""
    with artifacts.draft(FOLDER):
        folder = artifacts.root / FOLDER / f"{asset}-{week}-{key}"
        folder.mkdir(exist_ok=True)
    return folder


def remove_finished(folder: Path) -> None:
    """Remove a folder whose output was published, and those of abandoned attempts on the same week."""
    week = folder.name.rpartition("-")[0]
    for attempt in folder.parent.glob(f"{week}-*"):
        shutil.rmtree(attempt, ignore_errors=True)


def remove_attempts_on(artifacts: ArtifactStore, ids: Collection[str]) -> int:
    """Remove the abandoned attempts that sampled on any of these pairs; without them their data is another anyway."""
    doomed = [
        folder
        for folder in (artifacts.root / FOLDER).glob("*-*")
        if not _in_use(folder / LOCK_FILE) and any(_holds(path, ids) for path in folder.rglob("*.parquet"))
    ]
    for folder in doomed:
        shutil.rmtree(folder)
    return len(doomed)


def remove_left_drafts(artifacts: ArtifactStore) -> None:
    """Remove what killed processes left half-written; nothing that is still being written is a day old."""
    for draft in artifacts.root.glob("*/.draft-*"):
        if time.time() - draft.stat().st_mtime > LEFT_AFTER_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)


def _holds(path: Path, ids: Collection[str]) -> bool:
    if "pair_id" not in pl.read_parquet_schema(path):
        return False
    return not pl.read_parquet(path, columns=["pair_id"])["pair_id"].is_in(list(ids)).not_().all()


def _in_use(lock_file: Path) -> bool:
    if not lock_file.exists():
        return False
    with lock_file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
