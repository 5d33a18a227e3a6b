"""What a candidate must show to be promoted; part of the evaluation's settings."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field, field_validator

from grpo_pipeline.gates.metrics import (
    FREE_ANSWERS,
    HELD_OUT_METRICS,
    KL_PER_SEQUENCE,
    KL_PER_TOKEN,
    LENGTH_DRIFT,
    PROBES,
    WIN_RATE,
)


class GateSettings(BaseModel):
    """Which metrics decide, with what confidence and margins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary_metrics: tuple[str, ...] = Field(
        ("preference_accuracy", "contrastive_similarity"),
        min_length=1,
        description="Metrics of which at least one must improve, as a JSON list; the confidence is shared among them.",
    )
    seed: int = Field(20260105, ge=0, description="Seed of sampling and of the intervals.")
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Confidence of the two-sided intervals. One minus it is also the most probable error of all weekly "
        "looks at one incumbent together: promoting any candidate that is no better.",
    )
    power: float = Field(
        0.8, gt=0, lt=1, description="Probability with which the smallest effect that could have been shown is shown."
    )
    resamples: int = Field(4000, ge=200, description="Bootstrap resamples of the contributors.")
    min_pairs: int = Field(20, ge=2, description="Held-out pairs below which nothing is decided.")
    min_contributors: int = Field(8, ge=2, description="Held-out contributors below which nothing is decided.")
    tool_call_margin: float = Field(
        0.05, ge=0, description="Drop in tool-call accuracy that is tolerated, as a share of the calls."
    )
    length_margin: float = Field(
        0.25, ge=0, description="Drift of answer lengths away from the corrections that is tolerated, in doublings."
    )
    truncation_margin: float = Field(0.05, ge=0, description="Rise in cut-off answers that is tolerated, as a share.")
    win_rate_margin: float = Field(
        0.1, ge=0, lt=0.5, description="How far the length-controlled win rate may lie below one half."
    )
    most_length_drift: float = Field(
        1.25,
        gt=1,
        description="How many times as long as the incumbent's, or as short, answers may be; nothing is asked of a "
        "policy whose lengths come nearer to the corrections'.",
    )
    kl_per_token: float = Field(
        4.0,
        gt=0,
        description="Most nats per sampled token that a policy may have moved from the base model (KL). Wide, as a "
        "warm start on corrections moves far by design (2.6 in the demo); 0.1 suits GRPO without one.",
    )
    kl_per_sequence: float | None = Field(
        None,
        gt=0,
        description="Most nats per whole sampled answer that a policy may have moved from the base model; unset: "
        "shown, but no limit, as it grows with the answers' length. 10 suits GRPO without a warm start.",
    )
    probe_margin: float = Field(
        0.2,
        ge=0,
        description="Drop in any family of the regression suite that is tolerated, on its scale of 0 to 1; wide, as "
        "ten to twenty items cannot show less.",
    )
    probe_answers_margin: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Drop in right answers to the general questions in the model's own words that is tolerated; 1: no "
        "limit, for an agent that may answer in its house style whatever is asked.",
    )

    @field_validator("primary_metrics")
    @classmethod
    def _known_and_directed(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        possible = [metric.name for metric in HELD_OUT_METRICS if metric.better and metric.kind == "level"]
        unknown = [name for name in names if name not in possible]
        if unknown or len(set(names)) != len(names):
            raise ValueError(f"give each of these at most once: {', '.join(possible)}")
        return names

    @property
    def margins(self) -> dict[str, float]:
        """How much worse than another model a candidate may be on each guard metric, in the metric's own unit."""
        margins = {
            "tool_call_accuracy": self.tool_call_margin,
            "length_deviation": self.length_margin,
            "truncated": self.truncation_margin,
            WIN_RATE: self.win_rate_margin,
            LENGTH_DRIFT: math.log2(self.most_length_drift),
            KL_PER_TOKEN: self.kl_per_token,
            **({KL_PER_SEQUENCE: self.kl_per_sequence} if self.kl_per_sequence else {}),
            **{probe.name: self.probe_margin for probe in PROBES if probe.name != FREE_ANSWERS},
            **({FREE_ANSWERS: self.probe_answers_margin} if self.probe_answers_margin < 1 else {}),
        }
        return {name: margin for name, margin in margins.items() if name not in self.primary_metrics}
