"""What the UI shows of the pre-flights and of what training costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.reporting import table_of
from grpo_pipeline.training.ledger import read_ledger, week_seconds

HOUR = 3600.0


def preflight_views(policy: Artifact, home: Path, price_per_hour: float | None) -> dict[str, Any]:
    """The pre-flight's numbers by method, and the device-hours (and money) of this training and of all this week."""
    hours = {
        "training device-hours": policy.manifest.get("device_hours"),
        "training device-hours of all runs this calendar week": week_seconds(read_ledger(home), datetime.now(UTC))
        / HOUR,
    }
    reports: Mapping[str, Mapping[str, Any]] = policy.manifest.get("preflight") or {}
    shown: dict[str, Any] = {name: round(value, 4) for name, value in hours.items() if value is not None}
    if price_per_hour:
        shown |= {
            name.replace("device-hours", "cost"): round(value * price_per_hour, 2)
            for name, value in hours.items()
            if value is not None
        }
    if reports:
        shown["pre-flight"] = table_of(pl.DataFrame([_line(method, report) for method, report in reports.items()]))
    return shown


def _line(method: str, report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": method,
        "decision": "go" if report["go"] else "no-go",
        "dead groups": f"{report['dead_groups']:.0%}",
        "useful groups a step": f"{report['useful_groups_per_step']:.1f}",
        "cut answers": f"{report['cut_answers']:.0%}",
        "reward spread": f"{report['reward_spread']:.3f}",
        "reward noise": f"{report['reward_noise']:.3f}",
        "seconds a step": f"{report['seconds_per_step']:.1f}",
        "device-hours": f"{report['device_hours']:.3f}",
    }
