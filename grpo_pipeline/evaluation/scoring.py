"""What is measured, from log-probabilities and sampled answers: pure functions to rows of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from grpo_pipeline.conversation import parse_tool_calls
from grpo_pipeline.evaluation.divergence import Divergence
from grpo_pipeline.evaluation.pairs import HeldOutPair
from grpo_pipeline.evaluation.word_similarity import word_similarity
from grpo_pipeline.rewards.similarity import similarity
from grpo_pipeline.rewards.tool_calls import score_tool_calls

# Further away counts the same, so that a single empty answer does not outweigh all others.
MOST_DOUBLINGS = 4.0


@dataclass(frozen=True)
class Measured:
    """What one model did on one pair."""

    pair: HeldOutPair
    chosen_mean: float
    """Mean log-probability per token of the correction."""
    rejected_mean: float
    non_finite: int
    answers: tuple[str, ...]
    truncated: tuple[bool, ...]
    tokens: tuple[int, ...]
    """Of every answer."""
    moved: tuple[Divergence, ...]
    """From the base model, along the first answers; empty where that was not asked for."""


ScoreRow = tuple[str, float | None, int]


def score_rows(measured: Measured) -> list[ScoreRow]:
    """Rows of metric, value (None where it does not apply) and sample (0 for what has no samples) for one pair."""
    return [*_preference_rows(measured), *_answer_rows(measured), *_divergence_rows(measured)]


def _preference_rows(measured: Measured) -> list[ScoreRow]:
    margin = measured.chosen_mean - measured.rejected_mean
    accuracy = float("nan") if math.isnan(margin) else 0.5 if margin == 0 else float(margin > 0)
    return [
        ("preference_accuracy", accuracy, 0),
        ("preference_margin", margin, 0),
        ("non_finite", float(measured.non_finite), 0),
    ]


def _answer_rows(measured: Measured) -> list[ScoreRow]:
    chosen, answers = measured.pair.chosen, measured.answers
    contrast = similarity(answers, chosen=[chosen] * len(answers), rejected=[measured.pair.rejected] * len(answers))
    rows: list[ScoreRow] = []
    for sample, (answer, cut, tokens) in enumerate(zip(answers, measured.truncated, measured.tokens, strict=True)):
        ratio = len(answer.strip()) / max(1, len(chosen.strip()))
        rows += [
            ("contrastive_similarity", contrast[sample], sample),
            ("word_similarity", word_similarity(answer, chosen), sample),
            ("answer_tokens", float(tokens), sample),
            ("tool_call_accuracy", tool_call_accuracy(answer, chosen), sample),
            ("length_ratio", ratio, sample),
            ("length_deviation", doublings(answer, chosen), sample),
            ("truncated", float(cut), sample),
        ]
    return rows


def _divergence_rows(measured: Measured) -> list[ScoreRow]:
    rows: list[ScoreRow] = []
    for sample, moved in enumerate(measured.moved):
        rows += [("kl_per_sequence", moved.nats, sample), ("kl_per_token", moved.nats / moved.tokens, sample)]
    return rows


def tool_call_accuracy(answer: str, correction: str) -> float | None:
    """How right an answer's tool calls are, 0 to 1; None where the correction calls no tool."""
    if not parse_tool_calls(correction):
        return None
    score = score_tool_calls(answer, correction)
    return None if score is None else (score + 1.0) / 2.0


def doublings(answer: str, correction: str) -> float:
    """How often the shorter of two texts must double to be as long as the other, at most 4."""
    lengths = [max(1, len(text.strip())) for text in (answer, correction)]
    return min(MOST_DOUBLINGS, abs(math.log2(lengths[0] / lengths[1])))


def length_normalized(log_probabilities: Sequence[float]) -> float:
    """The mean over an answer's tokens, NaN where one is not finite."""
    finite = all(math.isfinite(value) for value in log_probabilities)
    return math.fsum(log_probabilities) / len(log_probabilities) if finite else float("nan")
