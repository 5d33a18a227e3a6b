"""What curation said of pairs when their weeks were last curated: redactions, duplicates, contradictions and more."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.curation import PAIRS, QUARANTINE
from grpo_pipeline.curation.rules import NOT_APPROVED, PAIR_RULES

DESCRIPTIONS = {
    **{rule.name: rule.description for rule in PAIR_RULES},
    "unchanged": "The kept answer is the rejected one.",
    "copied_prompt": "The kept answer is mostly a copy of the prompt.",
    "exact_duplicate": "The same pair came in before.",
    "earlier_duplicate": "The same pair is in an earlier week.",
    "near_duplicate": "Nearly the same pair came in before.",
    "earlier_near_duplicate": "Nearly the same pair is in an earlier week.",
    "contradiction": "Another pair prefers the opposite.",
    "outvoted": "More people's feedback speaks against this pair than for it.",
    "repeated_answer": "The same kept answer was given to unlike prompts.",
    "mislabeled": "The other pairs foretell the opposite preference.",
    "distrusted_contributor": "Most of what this person gave is suspect.",
    "contributor_cap": "This person gave more than their share of the week.",
}
REDACTED = "redacted_"
OTHER_PAIR = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REMEMBERED_WEEKS = 120
SCHEMA = {"id": pl.String(), "name": pl.String(), "detail": pl.String()}


@dataclass(frozen=True)
class Flag:
    """One thing that curation said of a pair.

    Attributes:
        name: the rule, or what was redacted.
        reason: in words.
        detail: what exactly, without any text of users.
        other: the pair that it names.
        kept_out: whether it keeps the pair from training.
    """

    name: str
    reason: str
    detail: str
    other: str | None
    kept_out: bool

    @property
    def title(self) -> str:
        """The name as people read it."""
        return self.name.replace("_", " ")


def flags_of(artifacts: ArtifactStore, weeks: Iterable[str], ids: Sequence[str]) -> Mapping[str, list[Flag]]:
    """The flags of pairs, by id."""
    found: defaultdict[str, list[Flag]] = defaultdict(list)
    for week in sorted(set(weeks)):
        for identity, name, detail in week_flags(artifacts, week).filter(pl.col("id").is_in(ids)).iter_rows():
            found[identity].append(_flag(name, detail))
    return found


def flagged_ids(artifacts: ArtifactStore, flag: str, week: str) -> list[str]:
    """The pairs with a flag, of one week or, where it is empty, of all."""
    weeks = [week] if week else artifacts.weeks("curated_pairs")
    frames = (week_flags(artifacts, key).filter(pl.col("name") == flag)["id"] for key in weeks)
    return [identity for ids in frames for identity in ids]


def known_flags(artifacts: ArtifactStore) -> list[str]:
    """The names of all flags that any pair has."""
    return sorted({name for key in artifacts.weeks("curated_pairs") for name in week_flags(artifacts, key)["name"]})


def week_flags(artifacts: ArtifactStore, week: str) -> pl.DataFrame:
    """`id`, `name` and `detail` of every flag of a week; no rows where it was not curated."""
    curated = artifacts.latest("curated_pairs", week)
    return _read(curated.path) if curated else pl.DataFrame(schema=SCHEMA)


# A published week never changes, and its name is made from its content.
@lru_cache(maxsize=REMEMBERED_WEEKS)
def _read(folder: Path) -> pl.DataFrame:
    # Who waits for a review is no flag: the status says so.
    outside = (pl.col("table") == "preference_pairs") & (pl.col("rule") != NOT_APPROVED.name)
    aside = pl.read_parquet(folder / QUARANTINE).filter(outside).select("id", name="rule", detail="detail")
    kept = pl.read_parquet(folder / PAIRS, columns=["id", "flags"]).explode("flags").drop_nulls("flags")
    return pl.concat([aside, kept.select("id", name="flags", detail=pl.lit(""))])


def _flag(name: str, detail: str) -> Flag:
    other = OTHER_PAIR.search(detail)
    redacted = name.startswith(REDACTED)
    reason = "Replaced by a placeholder for training." if redacted else DESCRIPTIONS.get(name, "")
    return Flag(name, reason, detail, other.group() if other else None, not redacted)
