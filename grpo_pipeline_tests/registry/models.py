"""Model versions for tests."""

from __future__ import annotations

from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.verdict import Status, Verdict
from grpo_pipeline.weeks import Week


def model(week: str, name: str = "aaaa1111", status: Status = "pass", **columns: object) -> ModelVersion:
    """A candidate of a week, evaluated with the given verdict."""
    return ModelVersion(
        version=f"{week}-{name}",
        week=Week(week),
        base_model="tiny",
        adapter_location=f"artifacts/grpo_policy/{week}/{name}/adapter",
        dataset_hash="d" * 16,
        config_hash="c" * 16,
        verdict=Verdict(status, "3 points better, 95% interval 1 to 5"),
        metrics={"preference_accuracy": {"candidate": 0.61, "incumbent": 0.58}},
        **columns,  # type: ignore[arg-type]
    )
