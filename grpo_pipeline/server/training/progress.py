"""How far a run is: its steps, the metrics of its training so far, and what was decided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.assets.working import FOLDER
from grpo_pipeline.automation import PARTITION
from grpo_pipeline.server.models.schema import Judgement
from grpo_pipeline.server.training.launching import TOOL_CALLING
from grpo_pipeline.server.training.schema import MetricsRow, RunAnswer, Step, StepStatus
from grpo_pipeline.tool_calling.names import EVALUATION_ASSET, POLICY_ASSET, UNDATED

METRICS = "metrics.jsonl"
ROWS_SHOWN = 100
POLICY, DECISIONS = "grpo_policy", ("champion", "policy_evaluation", "grpo_policy")
STEP_STATUS: dict[str, StepStatus] = {
    "SUCCESS": "done", "FAILURE": "failed", "IN_PROGRESS": "running", "SKIPPED": "skipped",
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """What a run makes: the policy it trains, under which week, and the assets that decide about it, the last first."""

    policy: str
    week: str
    decisions: Sequence[str]


def run_answer(run: Mapping[str, Any], artifacts: ArtifactStore, link: str) -> RunAnswer:
    """What is known of a run.

    Args:
        run: the run as Dagster describes it.
        artifacts: where training works and publishes.
        link: the run's page.
    """
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    week, began = tags.get(PARTITION), run["startTime"]
    subject = Subject(POLICY_ASSET, UNDATED, (EVALUATION_ASSET,)) if run["jobName"] == TOOL_CALLING else None
    if week:
        subject = Subject(POLICY, week, DECISIONS)
    found = {item["stepKey"]: item for item in run["stepStats"]}
    names = list(dict.fromkeys([*(run["stepKeysToExecute"] or []), *found]))
    steps = [_step(name, found.get(name)) for name in names]
    over = run["endTime"] is not None
    return RunAnswer(
        run_id=run["runId"],
        job=run["jobName"],
        status=run["status"],
        week=week,
        started_at=began,
        ended_at=run["endTime"],
        steps=steps,
        progress=sum(step.status == "done" for step in steps) / len(steps) if steps else 0.0,
        metrics=_metrics(artifacts, subject, began) if subject and began else [],
        verdict=_verdict(artifacts, subject, began) if subject and began and over else None,
        url=link,
    )


def _step(name: str, stats: Mapping[str, Any] | None) -> Step:
    if stats is None:
        return Step(name=name, status="waiting", seconds=None)
    began, ended = stats["startTime"], stats["endTime"]
    seconds = round(ended - began, 3) if began and ended else None
    return Step(name=name, status=STEP_STATUS.get(stats["status"] or "", "waiting"), seconds=seconds)


def _metrics(artifacts: ArtifactStore, subject: Subject, began: float) -> list[MetricsRow]:
    """The last rows of the metrics that were written since a run began: where it works, or what it published."""
    working = (artifacts.root / FOLDER).glob(f"{subject.policy}-{subject.week}-*")
    published = artifacts.latest(subject.policy, subject.week)
    folders = [*working, *([published.path] if published else [])]
    files = [file for folder in folders for file in folder.rglob(METRICS)]
    fresh = [file for file in files if file.stat().st_mtime >= began]
    return _rows(max(fresh, key=lambda file: file.stat().st_mtime))[-ROWS_SHOWN:] if fresh else []


def _rows(file: Path) -> list[MetricsRow]:
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            # The last line is being written just now.
            continue
        values = {name: value for name, value in row.items() if _is_number(value) and name not in ("step", "seconds")}
        rows.append(MetricsRow(phase=row["phase"], step=row["step"], seconds=row.get("seconds"), values=values))
    return rows


def _verdict(artifacts: ArtifactStore, subject: Subject, began: float) -> Judgement | None:
    """The last decision that was published since a run began."""
    for asset in subject.decisions:
        artifact = artifacts.latest(asset, subject.week)
        if artifact and (artifact.path.parent / "current").stat().st_mtime >= began:
            return Judgement.model_validate(artifact.manifest["verdict"])
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
