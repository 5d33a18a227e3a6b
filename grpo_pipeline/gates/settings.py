"""What a candidate must show to be promoted; part of the evaluation's settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from grpo_pipeline.gates.metrics import METRICS


class GateSettings(BaseModel):
    """Which metrics decide, with what confidence and margins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary_metrics: tuple[str, ...] = Field(
        ("preference_accuracy", "contrastive_similarity"),
        min_length=1,
        description="Metrics of which at least one must improve, as a JSON list; the confidence is shared among them.",
    )
    seed: int = Field(20260105, ge=0, description="Seed of sampling and of the intervals.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence of the two-sided intervals.")
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

    @field_validator("primary_metrics")
    @classmethod
    def _known_and_directed(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        possible = [metric.name for metric in METRICS if metric.better]
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
        }
        return {name: margin for name, margin in margins.items() if name not in self.primary_metrics}
