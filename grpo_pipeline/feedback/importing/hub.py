"""Reads the records of a data set on the Hugging Face Hub, streamed, so that nothing of it stays on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.importing.reading import SourceRecord

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_id(source: str) -> bool:
    """Whether a source that is no file is written like a data set's name, `owner/name`."""
    return HUB_ID.fullmatch(source) is not None


def read_hub(name: str, split: str) -> Iterator[SourceRecord]:
    """Every record of one split of a data set, in order.

    Raises:
        PipelineError: the Hub cannot be reached, or has no such data set or split.
    """
    # Loaded only here: it takes a second, and only this source needs it.
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    unreadable = (OSError, ValueError, RuntimeError, HfHubHTTPError, datasets.exceptions.DatasetsError)
    try:
        records = datasets.load_dataset(name, split=split, streaming=True)
        for line, value in enumerate(records, start=1):
            yield SourceRecord(line, value)
    except unreadable as error:
        raise PipelineError(
            f"The data set {name} (split {split}) cannot be read from the Hugging Face Hub ({type(error).__name__}): "
            "check the name, the split, the network and, for a private one, HF_TOKEN; or download its Parquet files "
            "and import those."
        ) from error
