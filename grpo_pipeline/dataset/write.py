"""Writes a preference dataset as a folder that `datasets.load_dataset` opens."""

from __future__ import annotations

from pathlib import Path

from grpo_pipeline.dataset.build import PreferenceDataset
from grpo_pipeline.dataset.card import dataset_card


def write_dataset(dataset: PreferenceDataset, directory: Path) -> None:
    """Write the parquet files and the card: the same bytes for the same dataset.

    Raises:
        OSError: the directory does not exist or cannot be written.
    """
    dataset.train.write_parquet(directory / "train.parquet")
    dataset.held_out.write_parquet(directory / "held_out.parquet")
    dataset.excluded.write_parquet(directory / "excluded.parquet")
    (directory / "README.md").write_text(dataset_card(dataset), encoding="utf-8")
