"""What is measured on the held-out pairs: names as in `scores.parquet`, labels as in the UI."""

from __future__ import annotations

from dataclasses import dataclass

BASE = "base"
INCUMBENT = "incumbent"
CANDIDATE = "candidate"
MODELS = (BASE, INCUMBENT, CANDIDATE)


@dataclass(frozen=True)
class Metric:
    """One number per held-out pair and model, averaged over the answers sampled for it."""

    name: str
    label: str
    description: str
    better: int
    """+1 where higher is better, -1 where lower is, 0 where it is only shown."""


NON_FINITE = "non_finite"

METRICS = (
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
    ),
    Metric(
        "contrastive_similarity",
        "contrastive similarity",
        "Similarity (chrF) of sampled answers to the correction minus that to the answer it replaced, -1 to 1.",
        +1,
    ),
    Metric(
        "tool_call_accuracy",
        "tool-call accuracy",
        "How right the sampled answers' tool calls are, 0 to 1, where the correction holds a call.",
        +1,
    ),
    Metric(
        "length_deviation",
        "length deviation",
        "How far sampled answers' lengths are from the correction's: 1 is twice or half as long, 4 the most counted.",
        -1,
    ),
    Metric("truncated", "cut-off answers", "Share of sampled answers that reached the length limit.", -1),
    Metric("length_ratio", "length ratio", "Length of the sampled answers over the correction's, in characters.", 0),
    Metric(NON_FINITE, "non-finite values", "Log-probabilities per pair that are not finite numbers.", 0),
)

BY_NAME = {metric.name: metric for metric in METRICS}
