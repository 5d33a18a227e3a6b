"""A verdict's reason in words: numbers and names of metrics, never text of users."""

from __future__ import annotations

from grpo_pipeline.gates.comparisons import Comparison
from grpo_pipeline.gates.evidence import Evidence
from grpo_pipeline.gates.metrics import BASE, INCUMBENT
from grpo_pipeline.gates.settings import GateSettings

MODEL_WORDS = {BASE: "the base model", INCUMBENT: "the incumbent", "candidate": "the candidate"}


def too_small(pairs: int, contributors: int, settings: GateSettings) -> str | None:
    """That the sample is too small to decide anything, or None."""
    if pairs >= settings.min_pairs and contributors >= settings.min_contributors:
        return None
    return (
        f"Only {_count(pairs, 'held-out pair')} of {_count(contributors, 'contributor')}: "
        f"at least {settings.min_pairs} pairs of {settings.min_contributors} contributors are needed to decide."
    )


def nothing_shown(primaries: list[Comparison], incumbent: str, settings: GateSettings) -> str:
    """That no primary metric is credibly better, and what this sample could have shown."""
    judged = [item for item in primaries if item.state != "too few"]
    if not judged:
        most = max((item.interval.pairs for item in primaries), default=0)
        return (
            f"No primary metric could be judged: the best covered has {_count(most, 'pair')}, and at least "
            f"{settings.min_pairs} pairs of {settings.min_contributors} contributors are needed."
        )
    differences = "; ".join(in_words(item) for item in judged)
    return f"No credible improvement over {MODEL_WORDS[incumbent]}: {differences}. {_reaches(judged, settings)}"


def too_little_evidence(
    improved: list[Comparison], evidence: Evidence, primaries: list[Comparison], settings: GateSettings
) -> str:
    """That an improvement shows in the interval, but not surely enough for looking every week."""
    shown = "; ".join(in_words(item) for item in improved)
    judged = [item for item in primaries if item.state != "too few"]
    return (
        f"Better by its interval, but not by enough for look {evidence.look} at this incumbent: {shown}. "
        f"{_evidence(evidence)}. {_reaches(judged, settings)}"
    )


def improvement_shown(
    improved: list[Comparison],
    comparisons: list[Comparison],
    evidence: Evidence | None,
    incumbent: str,
    settings: GateSettings,
) -> str:
    """What is better, how surely, and what could not be shown to be as good."""
    shown = "; ".join(in_words(item) for item in improved)
    parts = [f"Credibly better: {shown}. Nothing is worse by more than its margin."]
    if evidence:
        parts.append(f"{_evidence(evidence)}.")
    unproven = list(dict.fromkeys(item.metric.label for item in comparisons if item.state == "unproven"))
    if unproven:
        parts.append(f"Too few answers to show the same of {', '.join(unproven)}.")
    judged = [item for item in comparisons if item.role == "primary" and item.against == incumbent]
    return " ".join([*parts, _reaches([item for item in judged if item.state != "too few"], settings)])


def in_words(item: Comparison) -> str:
    """One difference with its interval and the size of its sample."""
    interval = item.interval
    if interval.low is None or interval.high is None:
        bounds = "no interval"
    else:
        ends = f"{_number(interval.low, True)} to {_number(interval.high, True)}"
        bounds = f"{100 * interval.confidence:.4g} % interval {ends}"
    if item.metric.probe:
        sample = _count(interval.pairs, "item")
    else:
        sample = f"{_count(interval.pairs, 'pair')} of {_count(interval.contributors, 'contributor')}"
    return (
        f"{item.metric.label} {_number(interval.mean, True)} against {MODEL_WORDS[item.against]} ({bounds}, {sample})"
    )


def _evidence(evidence: Evidence) -> str:
    return (
        f"Evidence (e-value) {_number(evidence.e_value)}, needed {_number(evidence.threshold)} at look {evidence.look}"
    )


def _reaches(judged: list[Comparison], settings: GateSettings) -> str:
    reach = "; ".join(_reach(item) for item in judged)
    return f"Smallest improvement that this sample shows with {settings.power:.0%} probability: {reach}."


def _reach(item: Comparison) -> str:
    if item.detectable is not None:
        return f"{item.metric.label} {_number(item.detectable)}"
    if item.interval.standard_error:
        return f"{item.metric.label} none, too few contributors"
    return f"{item.metric.label} cannot be said, both models scored the same on every pair"


def _number(value: float, signed: bool = False) -> str:
    if not value:
        return "0"
    if abs(value) >= 1000:
        return f"{value:{'+' if signed else ''},.0f}"
    return f"{value:{'+' if signed else ''}.3g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
