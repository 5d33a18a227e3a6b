"""A run that ends before it has a policy, for a reason and not by an error; it may be taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from grpo_pipeline.artifacts import write_atomically

STOPPED_FILE = "stopped.json"
Outcome = Literal["over budget", "nothing to learn"]
OVER_BUDGET: Outcome = "over budget"
NOTHING_TO_LEARN: Outcome = "nothing to learn"


class Stopped(Exception):  # noqa: N818
    """Ends a run in good order."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


def write_stopped(output: Path, stopped: Stopped, preflight: dict[str, Any]) -> None:
    """Say in the output folder how a run ended: outcome, reason and the reports of its pre-flights by method."""
    said = {"outcome": stopped.outcome, "reason": stopped.reason, "preflight": preflight}
    write_atomically(output / STOPPED_FILE, json.dumps(said, indent=2))


def read_stopped(output: Path) -> dict[str, Any] | None:
    """How the last run in a folder ended before it had a policy, or None."""
    path = output / STOPPED_FILE
    if not path.exists():
        return None
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return said
