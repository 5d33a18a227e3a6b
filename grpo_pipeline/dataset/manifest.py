"""What the manifest of a preference dataset says about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from grpo_pipeline.dataset.build import PreferenceDataset
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.verdict import Verdict

PARTS = ("train", "held_out", "excluded")


def manifest_fields(
    dataset: PreferenceDataset,
    verdict: Verdict,
    inputs: Mapping[str, Mapping[str, str]],
    missing_weeks: Sequence[str] = (),
) -> dict[str, Any]:
    """Inputs, settings, counts and verdict of a dataset; everything but the verdict follows from its content.

    Args:
        dataset: the week's dataset.
        verdict: whether to train on it.
        inputs: hash by week by asset, of everything that was read.
        missing_weeks: weeks of the look-back that were not there to read.
    """
    return {
        "inputs": {asset: dict(weeks) for asset, weeks in inputs.items()},
        "missing_weeks": sorted(missing_weeks),
        "settings": public_settings(dataset.settings),
        "dataset_hash": dataset.hash,
        "counts": dataset.counts,
        "weeks": week_counts(dataset),
        "verdict": verdict.as_manifest(),
    }


def public_settings(settings: DatasetSettings) -> dict[str, Any]:
    """The settings that shape a dataset's content, the salt only as a digest: with it, contributors could be told."""
    shown = settings.model_dump(exclude={"min_new_pairs", "split_salt"})
    return {**shown, "split_salt_digest": hashlib.sha256(settings.split_salt.encode()).hexdigest()[:8]}


def week_counts(dataset: PreferenceDataset) -> dict[str, dict[str, int]]:
    """How many pairs of each week are in training, held out and excluded, by week."""
    frames = [
        frame.select("week", part=pl.lit(part))
        for part, frame in zip(PARTS, (dataset.train, dataset.held_out, dataset.excluded), strict=True)
    ]
    counted = pl.concat(frames).group_by("week", "part").len()
    found = {(week, part): count for week, part, count in counted.iter_rows()}
    weeks = sorted({week for week, _ in found})
    return {week: {part: found.get((week, part), 0) for part in PARTS} for week in weeks}
