"""One line of the model registry."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Literal

from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week

ModelStatus = Literal["candidate", "champion", "retired", "rejected"]


@dataclass(frozen=True)
class ModelVersion:
    """A trained policy, what was decided about it, and whether it is in use.

    `rejected` were turned down by a gate, or rolled back by a person; `retired` were champion until another was better.
    """

    version: str
    week: Week
    base_model: str
    adapter_location: str | None = None
    dataset_hash: str | None = None
    config_hash: str | None = None
    verdict: Verdict | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    status: ModelStatus = "candidate"
    status_reason: str | None = None
    created_at: datetime | None = None
    promoted_at: datetime | None = None
    promoted_by: str | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> ModelVersion:
        """A version from a row of the table, by column name."""
        monday: date = row["week"]
        verdict = Verdict(**row["verdict"]) if row["verdict"] else None
        return cls(**{**row, "week": Week(monday.isoformat()), "verdict": verdict})

    def as_json(self) -> dict[str, Any]:
        """The version as plain JSON values, by column name."""
        shown = {item.name: getattr(self, item.name) for item in fields(self)}
        moments = {name: value.isoformat() for name, value in shown.items() if isinstance(value, datetime)}
        verdict = self.verdict.as_manifest() if self.verdict else None
        return {**shown, **moments, "week": self.week.key, "verdict": verdict}


COLUMNS = tuple(item.name for item in fields(ModelVersion))
