"""What came of the demo, read from the artifacts and written as one short table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.gates.metrics import BASE, CANDIDATE, INCUMBENT
from grpo_pipeline.weeks import Week

PAIRS, FEEDBACK = "preference_pairs", "agent_feedback"
EVALUATION_FILE = "evaluation.json"


@dataclass(frozen=True)
class MetricLine:
    """One metric on the held-out pairs: the levels of both models, and candidate minus the other with its interval."""

    label: str
    against: float | None
    candidate: float | None
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Summary:
    """The demo's outcome; counts are rows over all weeks, `set_aside` pairs by rule."""

    weeks: Sequence[Week]
    feedback: int
    pairs: int
    kept: int
    set_aside: dict[str, int]
    redacted: int
    dataset: dict[str, int]
    rewards: tuple[float | None, float | None] | None
    against: str
    metrics: Sequence[MetricLine]
    verdict: str
    reason: str
    champion: str | None
    methods: Sequence[dict[str, Any]] = ()
    """Rows of the methods' table for the metrics that decide."""


def summarize(artifacts: ArtifactStore, weeks: Sequence[Week], champion: str | None) -> Summary:
    """Read the outcome of the weeks, of which the last was trained.

    Raises:
        PipelineError: something of it was not made.
    """
    curation: Counter[str] = Counter()
    for week in weeks:
        curation.update(artifacts.require("curated_pairs", week.key).manifest["counts"])
    dataset = artifacts.require("preference_dataset", weeks[-1].key).manifest
    policy = artifacts.require("grpo_policy", weeks[-1].key).manifest
    evaluation = artifacts.require("policy_evaluation", weeks[-1].key)
    measured = evaluation.path / EVALUATION_FILE
    content = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else {}
    verdict = evaluation.manifest["verdict"]
    against, metrics = metric_lines(content.get("levels", []), content.get("comparisons", []))
    return Summary(
        weeks=weeks,
        feedback=sum(artifacts.require(FEEDBACK, week.key).manifest["counts"]["rows"] for week in weeks),
        pairs=curation[f"{PAIRS}.read"],
        kept=curation[f"{PAIRS}.kept"],
        set_aside=set_aside(curation),
        redacted=sum(count for name, count in curation.items() if name.startswith("redacted.")),
        dataset=dataset["counts"],
        rewards=_rewards(policy),
        against=against,
        metrics=metrics,
        verdict=verdict["status"],
        reason=verdict["reason"],
        champion=champion,
        methods=method_rows(content),
    )


def set_aside(counts: Counter[str]) -> dict[str, int]:
    """Pairs that curation set aside, by rule, the most frequent first."""
    rules = {
        name.removeprefix(f"{PAIRS}."): count
        for name, count in counts.items()
        if name.startswith(f"{PAIRS}.") and count and not name.endswith((".read", ".kept"))
    }
    return dict(sorted(rules.items(), key=lambda item: (-item[1], item[0])))


def metric_lines(
    levels: Sequence[dict[str, Any]], comparisons: Sequence[dict[str, Any]]
) -> tuple[str, list[MetricLine]]:
    """The model that the candidate was compared with, and every metric's line."""
    models = {row["model"] for row in levels}
    against = INCUMBENT if INCUMBENT in models else BASE
    means = {(row["metric"], row["model"]): row["mean"] for row in levels}
    lines = [
        MetricLine(
            row["label"],
            means.get((row["metric"], against)),
            means.get((row["metric"], CANDIDATE)),
            row["difference"],
            row["low"],
            row["high"],
        )
        for row in comparisons
        if row["against"] == against
    ]
    return against, lines


def method_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the methods reached in the metrics that decide; nothing where only one was tried."""
    if len(content.get("candidates", {})) < 2:
        return []
    decisive = {row["metric"] for row in content["comparisons"] if row["role"] == "primary"}
    return [row for row in content["contest"] if row["metric"] in decisive]


def _rewards(policy: dict[str, Any]) -> tuple[float | None, float | None] | None:
    total = policy.get("rewards", {}).get("reward")
    # Where the pre-flight left GRPO out, there are no rewards.
    return (total["first"], total["last"]) if total and total["first"] is not None else None


def outcome_table(summary: Summary) -> Table:
    """The counts and the decision, one line each."""
    table = Table(show_header=False, title="The demo's weeks", title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    first, last = summary.weeks[0].key, summary.weeks[-1].key
    table.add_row("weeks", f"{len(summary.weeks)}, from {first} to {last}")
    table.add_row("feedback", f"{summary.feedback} rows, of which {summary.pairs} are pairs")
    table.add_row("kept", f"{summary.kept} pairs; {summary.redacted} pieces of personal data replaced in them")
    table.add_row("set aside", ", ".join(f"{count} {name}" for name, count in summary.set_aside.items()) or "none")
    counts = summary.dataset
    table.add_row(
        "dataset",
        f"{counts['train']} training pairs, {counts['held_out']} held out "
        f"(of {counts['contributors_held_out']} contributors), {counts['excluded']} excluded, {counts['mined']} mined",
    )
    if summary.rewards:
        before, after = (_number(value) for value in summary.rewards)
        table.add_row("reward", f"{before} at the start of GRPO, {after} at its end: few steps, each on other prompts")
    table.add_row("verdict", f"{summary.verdict}: {summary.reason}")
    table.add_row("champion", summary.champion or "none: the base model stays in use")
    return table


def metrics_table(summary: Summary) -> Table:
    """What was measured on the held-out pairs."""
    table = Table(title="On the held-out pairs", title_justify="left")
    table.add_column("metric")
    for name in (summary.against, CANDIDATE, "difference", "interval"):
        table.add_column(name, justify="right")
    for line in summary.metrics:
        interval = "" if line.low is None else f"{_number(line.low, '+')} to {_number(line.high, '+')}"
        levels = (_number(line.against), _number(line.candidate))
        table.add_row(line.label, *levels, _number(line.difference, "+"), interval)
    return table


def methods_table(summary: Summary) -> Table:
    """The methods side by side on the same pairs."""
    table = Table(title="Methods on the same pairs", title_justify="left")
    for name in ("method", "metric"):
        table.add_column(name)
    for name in ("level", "difference", "interval"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in summary.methods:
        low, high = row["difference_low"], row["difference_high"]
        interval = "" if low is None else f"{_number(low, '+')} to {_number(high, '+')}"
        numbers = (_number(row["level"]), _number(row["difference"], "+"), interval)
        table.add_row(row["method"], row["label"], *numbers, row["verdict"] or "")
    return table


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.3f}"
