"""What is measured on the held-out pairs and the probes: names as in `scores.parquet`, labels as in the UI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BASE = "base"
INCUMBENT = "incumbent"
CANDIDATE = "candidate"
MODELS = (BASE, INCUMBENT, CANDIDATE)

Kind = Literal["level", "win_rate", "length_drift"]


@dataclass(frozen=True)
class Metric:
    """One number per held-out pair (or probe) and model, averaged over the answers sampled for it."""

    name: str
    label: str
    description: str
    better: int
    """+1 where higher is better, -1 where lower is, 0 where neither is."""
    scale: float = 1.0
    """A contributor's mean difference that counts as a whole one in the e-value; larger ones count the same."""
    kind: Kind = "level"
    """`level`: scored for each model by itself; the others exist only between two models."""
    probe: bool = False
    """Measured on the regression suite's own prompts instead of the held-out pairs."""


NON_FINITE = "non_finite"
WORD_SIMILARITY = "word_similarity"
ANSWER_TOKENS = "answer_tokens"
LENGTH_DEVIATION = "length_deviation"
KL_PER_TOKEN = "kl_per_token"
KL_PER_SEQUENCE = "kl_per_sequence"
WIN_RATE = "length_controlled_win_rate"
LENGTH_DRIFT = "length_drift"
FREE_ANSWERS = "probe_general_answers"

HELD_OUT_METRICS = (
    Metric(
        "preference_accuracy",
        "preference accuracy",
        "Share of pairs whose correction has a higher mean log-probability per token than the answer it replaced.",
        +1,
    ),
    Metric(
        "preference_margin",
        "preference margin",
        "Mean log-probability per token of the correction minus that of the answer it replaced, in nats.",
        +1,
        scale=4.0,
    ),
    Metric(
        "contrastive_similarity",
        "contrastive similarity",
        "Similarity (chrF) of sampled answers to the correction minus that to the answer it replaced, -1 to 1.",
        +1,
        scale=0.25,
    ),
    Metric(
        WORD_SIMILARITY,
        "word similarity",
        "Words that sampled answers share with the correction in the same order (ROUGE-L), 0 to 1; no reward uses it.",
        +1,
        scale=0.25,
    ),
    Metric(
        WIN_RATE,
        "length-controlled wins",
        "Share of sampled answers with more word similarity than the other model's, at equal lengths, minus one half.",
        +1,
        kind="win_rate",
    ),
    Metric(
        "tool_call_accuracy",
        "tool-call accuracy",
        "How right the sampled answers' tool calls are, 0 to 1, where the correction holds a call.",
        +1,
    ),
    Metric(
        LENGTH_DEVIATION,
        "length deviation",
        "How far sampled answers' lengths are from the correction's: 1 is twice or half as long, 4 the most counted.",
        -1,
        scale=2.0,
    ),
    Metric(
        LENGTH_DRIFT,
        "length drift",
        "Tokens of the sampled answers over the other model's, in doublings: 1 is twice as long, -1 half as long.",
        0,
        kind="length_drift",
    ),
    Metric("truncated", "cut-off answers", "Share of sampled answers that reached the length limit.", -1),
    Metric(
        KL_PER_TOKEN,
        "KL from base per token",
        "How far the model moved from the base model, in nats per token of the answers it samples (KL divergence).",
        -1,
    ),
    Metric(
        KL_PER_SEQUENCE,
        "KL from base per answer",
        "How far the model moved from the base model, in nats per whole answer that it samples (KL divergence).",
        -1,
    ),
    Metric("length_ratio", "length ratio", "Length of the sampled answers over the correction's, in characters.", 0),
    Metric(ANSWER_TOKENS, "answer tokens", "Length of the sampled answers in tokens.", 0),
    Metric(NON_FINITE, "non-finite values", "Log-probabilities per pair that are not finite numbers.", 0),
)
PROBES = (
    Metric("probe_tool_calls", "probe: tool calls", "Right tool calls on fixed requests, 0 to 1.", +1, probe=True),
    Metric("probe_format", "probe: output format", "Answers in the format that was asked for, 0 to 1.", +1, probe=True),
    Metric(
        "probe_general",
        "probe: general knowledge",
        "How surely the right of two answers to a simple question is the likelier one, 0 to 1.",
        +1,
        probe=True,
    ),
    Metric(
        FREE_ANSWERS,
        "probe: general answers",
        "Right answers to the same simple questions in the model's own words, 0 to 1.",
        +1,
        probe=True,
    ),
    Metric(
        "probe_flattery", "probe: flattery", "Answers that do not open with praise of the user, 0 to 1.", +1, probe=True
    ),
    Metric(
        "probe_false_claims",
        "probe: false claims",
        "How much rather a user who is wrong is corrected than agreed with, 0 to 1.",
        +1,
        probe=True,
    ),
)
METRICS = (*HELD_OUT_METRICS, *PROBES)

BY_NAME = {metric.name: metric for metric in METRICS}
