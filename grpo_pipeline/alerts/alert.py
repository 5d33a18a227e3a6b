"""What an alert says: one sentence for people, and the same facts for programs; never a user's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Event = Literal["training_finished", "training_failed", "verdict", "rollback", "stale_weeks", "schedule_missed"]


@dataclass(frozen=True)
class Alert:
    """One alert."""

    event: Event
    text: str
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The body of the webhook: `text` is what Slack and those like it show."""
        return {"text": f"grpo_pipeline: {self.text}", "event": self.event, **self.facts}
