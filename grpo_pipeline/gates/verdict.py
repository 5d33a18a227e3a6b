"""Whether a candidate is promoted: the rules, and the reason in words.

A candidate passes when at least one primary metric is credibly better than the incumbent's (the base model's where
there is no incumbent), the evidence for it suffices for this look, and nothing is credibly or apparently worse than the
incumbent or the base model: no other primary metric, no guard, no family of the regression suite.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from grpo_pipeline.gates.comparisons import Comparison, compare
from grpo_pipeline.gates.evidence import Evidence, threshold_at
from grpo_pipeline.gates.metrics import BASE, INCUMBENT, NON_FINITE
from grpo_pipeline.gates.reasons import (
    MODEL_WORDS,
    improvement_shown,
    in_words,
    nothing_shown,
    too_little_evidence,
    too_small,
)
from grpo_pipeline.gates.scores import WEEK, checked_scores, models_in, on_held_out
from grpo_pipeline.gates.settings import GateSettings
from grpo_pipeline.gates.tables import comparison_table, levels, weekly_table
from grpo_pipeline.verdict import Status, Verdict


@dataclass(frozen=True)
class PromotionVerdict:
    """The decision on one candidate, and every number it rests on."""

    status: Status
    reason: str
    table: pl.DataFrame
    """Every metric's level for every model, see `tables.levels`."""
    comparisons: pl.DataFrame
    """Every difference candidate minus other model, see `tables.comparison_table`."""
    minimum_detectable_effect: dict[str, float | None]
    """Per primary and guard metric: the smallest difference to the incumbent that this sample could have shown."""
    pairs: int
    contributors: int
    by_week: pl.DataFrame
    """The primary differences by week of the pairs, see `tables.weekly_table`."""
    evidence: Evidence | None
    """Against the incumbent, over all primary metrics; None where none could be judged."""
    weeks: int
    """How many weeks the held-out pairs are from; 0 where that is not known."""

    @property
    def verdict(self) -> Verdict:
        """The decision as a manifest records it."""
        return Verdict(self.status, self.reason)


@dataclass(frozen=True)
class _Case:
    """Everything that one decision rests on."""

    scores: pl.DataFrame
    comparisons: list[Comparison]
    incumbent: str
    evidence: Evidence | None
    pairs: int
    contributors: int
    settings: GateSettings

    @property
    def primaries(self) -> list[Comparison]:
        """The comparisons of which one must show an improvement."""
        return [item for item in self.comparisons if item.role == "primary" and item.against == self.incumbent]


def promotion_verdict(scores: pl.DataFrame, settings: GateSettings, look: int = 1, rivals: int = 1) -> PromotionVerdict:
    """Decide whether the candidate replaces the incumbent.

    Args:
        scores: columns pair_id, contributor, model (base, incumbent, candidate), metric, value, sample and, where it is
            known, week, in any order of rows.
        settings: which metrics decide, with what confidence and margins.
        look: which evaluation against this incumbent it is, from 1; later looks need more evidence.
        rivals: the week's candidates, this one included, among which the confidence is shared.

    Raises:
        PipelineError: the scores lack a column, a model, or a model's scores on some pairs.
    """
    scores = checked_scores(scores)
    held_out = on_held_out(scores)
    comparisons = compare(scores, settings, look, rivals)
    incumbent = INCUMBENT if INCUMBENT in models_in(scores) else BASE
    pairs = held_out["pair_id"].n_unique()
    contributors = held_out.select(pl.coalesce("contributor", "pair_id")).to_series().n_unique()
    evidence = _evidence(comparisons, incumbent, look, (1 - settings.confidence) / rivals)
    case = _Case(scores, comparisons, incumbent, evidence, pairs, contributors, settings)
    status, reason = _decide(case)
    gates = [item for item in comparisons if item.role != "shown"]
    return PromotionVerdict(
        status,
        reason,
        levels(scores, settings),
        comparison_table(comparisons),
        # Against the base model where that alone is the gate; the incumbent's number is the later one and stays.
        {item.metric.name: item.detectable for item in gates},
        pairs,
        contributors,
        weekly_table(scores, settings),
        evidence,
        held_out[WEEK].drop_nulls().n_unique(),
    )


def _evidence(comparisons: list[Comparison], incumbent: str, look: int, error: float) -> Evidence | None:
    """The mean of the e-values, which is one too: against "no primary metric is better"."""
    judged = [
        item.e_value
        for item in comparisons
        if item.against == incumbent and item.e_value is not None and item.state != "too few"
    ]
    if not judged:
        return None
    return Evidence(sum(judged) / len(judged), float(threshold_at(look, error)), look)


def _decide(case: _Case) -> tuple[Status, str]:
    for rule in (_broken, _small, _worse, _unimproved, _doubted):
        found = rule(case)
        if found:
            return found
    return "pass", improvement_shown(_improved(case), case.comparisons, case.evidence, case.incumbent, case.settings)


def _improved(case: _Case) -> list[Comparison]:
    return [item for item in case.primaries if item.state == "better"]


def _broken(case: _Case) -> tuple[Status, str] | None:
    counted = (pl.col("metric") == NON_FINITE) & (pl.col("value") > 0)
    bad = on_held_out(case.scores).filter(counted | pl.col("value").is_nan() | pl.col("value").is_infinite())
    if bad.is_empty():
        return None
    counts = bad.group_by("model").agg(pl.col("pair_id").n_unique()).sort("model")
    named = " and ".join(f"{MODEL_WORDS[model]} on {count}" for model, count in counts.iter_rows())
    return "fail", f"Values that are not finite numbers: {named} of {case.pairs} held-out pairs."


def _small(case: _Case) -> tuple[Status, str] | None:
    said = too_small(case.pairs, case.contributors, case.settings)
    return ("inconclusive", said) if said else None


def _worse(case: _Case) -> tuple[Status, str] | None:
    worse = [item for item in case.comparisons if item.state == "worse"]
    return ("fail", "Credibly worse: " + "; ".join(in_words(item) for item in worse) + ".") if worse else None


def _unimproved(case: _Case) -> tuple[Status, str] | None:
    improved = _improved(case)
    if not improved or case.evidence is None:
        return "inconclusive", nothing_shown(case.primaries, case.incumbent, case.settings)
    if not case.evidence.enough:
        return "inconclusive", too_little_evidence(improved, case.evidence, case.primaries, case.settings)
    return None


def _doubted(case: _Case) -> tuple[Status, str] | None:
    improved = _improved(case)
    names = {item.metric.name for item in improved}
    below_base = [
        item for item in case.comparisons if item.against == BASE and item.gain < 0 and item.metric.name in names
    ]
    doubts = [item for item in case.comparisons if item.state == "doubtful"] + below_base
    if not doubts:
        return None
    better = ", ".join(item.metric.label for item in improved)
    doubted = "; ".join(in_words(item) for item in doubts)
    return "inconclusive", f"Better in {better}, but possibly worse elsewhere: {doubted}."
