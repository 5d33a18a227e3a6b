"""The decision that a manifest records, the same shape for every stage."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["pass", "fail", "inconclusive", "skipped"]


@dataclass(frozen=True)
class Verdict:
    """What a stage decided and why, in words that stand in the UI as they are."""

    status: Status
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the next stage may go ahead."""
        return self.status == "pass"

    def as_manifest(self) -> dict[str, str]:
        """The `verdict` entry of a manifest."""
        return asdict(self)
