"""How long training has used its devices, by calendar week: one small file for all runs of a project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from grpo_pipeline.artifacts import write_atomically
from grpo_pipeline.training.locks import exclusive
from grpo_pipeline.weeks import Week

LEDGER_FILE = "training_time.json"
LOCK_WAIT_SECONDS = 30.0

Ledger = dict[str, float]


def added(ledger: Mapping[str, float], moment: datetime, seconds: float) -> Ledger:
    """The ledger with so many more device-seconds in the week of a moment."""
    week = Week.containing(moment).key
    return dict(sorted({**ledger, week: ledger.get(week, 0.0) + seconds}.items()))


def week_seconds(ledger: Mapping[str, float], moment: datetime) -> float:
    """Device-seconds used in the week of a moment."""
    return ledger.get(Week.containing(moment).key, 0.0)


def read_ledger(home: Path) -> Ledger:
    """Device-seconds by the Monday of the week."""
    path = home / LEDGER_FILE
    if not path.exists():
        return {}
    ledger: Ledger = json.loads(path.read_text(encoding="utf-8"))
    return ledger


def record(home: Path, seconds: float) -> Ledger:
    """Add device-seconds to the current week, whoever else does so at the same time; the ledger after it.

    Raises:
        PipelineError: another process holds the ledger and does not let go.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / LEDGER_FILE
    busy = f"Another process (number {{holder}}) holds {path} and does not let go: stop it, then run again."
    with exclusive(home / f".{LEDGER_FILE}.lock", wait_seconds=LOCK_WAIT_SECONDS, busy=busy):
        ledger = added(read_ledger(home), datetime.now(UTC), seconds)
        write_atomically(path, json.dumps(ledger, indent=2))
    return ledger
