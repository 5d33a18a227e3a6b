"""How many new pairs wait to be trained on, as far as that can be told before they are curated."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.trained_pairs import known_pairs
from grpo_pipeline.assets.working import work_key
from grpo_pipeline.config import Settings
from grpo_pipeline.feedback.fingerprints import Fingerprints
from grpo_pipeline.feedback.staleness import extracted_fingerprint
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.feedback.tables import TABLES
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.weeks import Week, weeks_between


@dataclass(frozen=True)
class WaitingPairs:
    """New pairs up to a week, and the version of everything in the database that they come from."""

    week: Week
    count: int
    minimum: int
    data_version: str

    @property
    def enough(self) -> bool:
        """Whether the week may be trained."""
        return self.count >= self.minimum

    def __str__(self) -> str:
        return f"{self.count} of {self.minimum} new pairs"


def waiting_pairs(
    store: FeedbackStore, artifacts: ArtifactStore, registry: ModelRegistry, week: Week, settings: Settings
) -> WaitingPairs:
    """Count what the last trained week did not know.

    A week that was curated as the database has it counts what curation kept; any other counts the rows that could be
    used, so that nobody waits for a curation that nothing would start.
    """
    first = max(week.shift(1 - settings.dataset.lookback_weeks), Week(settings.first_week))
    weeks = weeks_between(first, week)
    fingerprints = store.fingerprints(first, week)
    raw = store.count_pairs(first, week, approved_only=settings.curation.review == "required")
    known = known_pairs(artifacts, registry, week.shift(1)).ids
    count = 0
    for item in weeks:
        kept = _kept_pairs(artifacts, item, fingerprints)
        count += raw[item.key] if kept is None else len(kept - known)
    return WaitingPairs(week, count, settings.dataset.min_new_pairs, data_version(fingerprints))


def data_version(fingerprints: Fingerprints) -> str:
    """A short text that changes with every row of the weeks that is added, edited or deleted."""
    return work_key(fingerprints)[:12]


def _kept_pairs(artifacts: ArtifactStore, week: Week, fingerprints: Fingerprints) -> set[str] | None:
    """The ids that curation kept of a week; None where it has not seen the week as it is now."""
    curated = artifacts.latest("curated_pairs", week.key)
    extracted = {name: artifacts.latest(name, week.key) for name in TABLES}
    if curated is None:
        return None
    for name, artifact in extracted.items():
        if artifact is None or extracted_fingerprint(artifact) != fingerprints[name][week.key]:
            return None
        if curated.manifest["inputs"][name][week.key] != artifact.hash:
            return None
    return set(pl.read_parquet(curated.path / "pairs.parquet", columns=["id"])["id"])
