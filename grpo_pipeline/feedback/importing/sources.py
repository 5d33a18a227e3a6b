"""Where records come from: a file, or else a data set on the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.importing.hub import is_hub_id, read_hub
from grpo_pipeline.feedback.importing.reading import SourceRecord, read_file


def read_source(source: str, split: str = "train") -> Iterator[SourceRecord]:
    """Every record of a file, or of a split of a data set `owner/name` where no such file exists.

    Raises:
        PipelineError: there is no such source, or it cannot be read.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        raise PipelineError(f"{path} is a folder: give one of its files.")
    if path.exists():
        return read_file(path)
    if is_hub_id(source):
        return read_hub(source, split)
    raise PipelineError(f"There is no file {path}: give an existing file, or a data set on the Hub as owner/name.")


def source_name(source: str) -> str:
    """A short file name for what is kept about a source."""
    path = Path(source).expanduser()
    return path.name if path.exists() else source.replace("/", "--")
