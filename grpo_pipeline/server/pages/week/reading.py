"""What is known of a week before it trains: its dataset, what was kept out, samples, and who signed it off."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.assets.curation import QUARANTINE
from grpo_pipeline.config import Settings
from grpo_pipeline.feedback.staleness import StaleWeek, stale_weeks
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.postgres.connection import transaction
from grpo_pipeline.registry.sign_offs import SignOff, SignOffs
from grpo_pipeline.server.pages.curation_flags import DESCRIPTIONS
from grpo_pipeline.server.pages.readable import Texts, readable_texts
from grpo_pipeline.weeks import Week

SAMPLES = 6
COUNTS = """
select review_status, count(*) from public.preference_pairs where created_at >= %s and created_at < %s group by 1
"""


@dataclass(frozen=True)
class KeptOut:
    """How many pairs of the week a rule kept out."""

    rule: str
    reason: str
    rows: int


@dataclass(frozen=True)
class Sample:
    """A pair of the dataset, and which part of it it is in."""

    id: str
    part: str
    texts: Texts


@dataclass(frozen=True)
class WeekView:
    """What the page shows of a week.

    Attributes:
        week: the week.
        reviews: how many of its pairs have which review status.
        dataset: the manifest of its dataset; None where there is none.
        kept_out: what curation kept out of this week, the most first.
        samples: some of this week's pairs in the dataset.
        stale: the weeks up to this one that changed since, with the reasons.
        signed: the sign-off that counts.
        trained: the manifest of its training; None where it was not decided on.
        required: whether nothing trains unless it is signed off.
    """

    week: Week
    reviews: Mapping[str, int]
    dataset: Mapping[str, Any] | None
    kept_out: Sequence[KeptOut]
    samples: Sequence[Sample]
    stale: Sequence[StaleWeek]
    signed: SignOff | None
    trained: Mapping[str, Any] | None
    required: bool

    @property
    def is_signed(self) -> bool:
        """Whether the very dataset shown is signed off."""
        return bool(self.dataset and self.signed and self.signed.covers(self.dataset["dataset_hash"]))


def read_week(settings: Settings, url: str, week: Week) -> WeekView:
    """What is known of a week.

    Raises:
        PipelineError: the database cannot be read.
    """
    artifacts = ArtifactStore(settings.artifacts)
    dataset, curated = (artifacts.latest(name, week.key) for name in ("preference_dataset", "curated_pairs"))
    policy = artifacts.latest("grpo_policy", week.key)
    with transaction(url) as connection:
        reviews = dict(connection.execute(COUNTS, (week.start, week.end)).fetchall())
    return WeekView(
        week=week,
        reviews=reviews,
        dataset=dataset.manifest if dataset else None,
        kept_out=kept_out(curated) if curated else (),
        samples=samples(dataset) if dataset else (),
        stale=changed_since(settings, url, week),
        signed=SignOffs(url).last(week),
        trained=policy.manifest if policy else None,
        required=settings.curation.review == "required",
    )


def changed_since(settings: Settings, url: str, week: Week) -> list[StaleWeek]:
    """The weeks up to a week that the database has otherwise than they were extracted."""
    weeks = [known for known in settings.complete_weeks() if known <= week]
    return stale_weeks(FeedbackStore(url), ArtifactStore(settings.artifacts), weeks)


def kept_out(curated: Artifact) -> list[KeptOut]:
    """What curation kept out of a week's pairs, by rule, the most first."""
    rows = pl.read_parquet(curated.path / QUARANTINE).filter(pl.col("table") == "preference_pairs")
    counted = rows.group_by("rule").len("rows").sort(["rows", "rule"], descending=[True, False])
    return [KeptOut(rule, DESCRIPTIONS.get(rule, ""), count) for rule, count in counted.iter_rows()]


def samples(dataset: Artifact) -> list[Sample]:
    """Some of the week's own pairs in a dataset, the same ones each time: evenly spread over all there are."""
    parts = {
        "training": pl.scan_parquet(dataset.path / "train.parquet"),
        "held out": pl.scan_parquet(dataset.path / "held_out.parquet"),
    }
    own = pl.concat([rows.with_columns(part=pl.lit(part)) for part, rows in parts.items()])
    rows = own.filter(pl.col("week") == dataset.week).collect()
    spread = rows.gather_every(max(1, len(rows) // SAMPLES)).head(SAMPLES)
    return [Sample(row["id"], row["part"], _texts(row)) for row in spread.iter_rows(named=True)]


def _texts(row: Mapping[str, Any]) -> Texts:
    rejected, chosen = ("\n".join(message["content"] for message in row[name]) for name in ("rejected", "chosen"))
    return readable_texts(row["prompt"], rejected, chosen, json.loads(row["tools"]) if row["tools"] else None)
