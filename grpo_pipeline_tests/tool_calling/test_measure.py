from __future__ import annotations

import pytest

from grpo_pipeline.tool_calling.measure import model_to_use
from grpo_pipeline.tool_calling.scoring import ALL


@pytest.mark.parametrize(
    ("warm_start", "grpo", "chosen"),
    [
        (0.4, 0.02, "grpo"),
        (0.4, -0.06, "warm_start"),
        (0.4, 0.0, "warm_start"),
        # What GRPO adds to a warm start that taught nothing is measured against that, and not against the base model.
        (-0.1, 0.02, "base"),
    ],
)
def test_a_later_model_is_used_only_where_it_is_credibly_better(warm_start: float, grpo: float, chosen: str) -> None:
    differences = {"warm_start minus base": {ALL: {"low": warm_start}}, "grpo minus warm_start": {ALL: {"low": grpo}}}
    assert model_to_use(differences, ["base", "warm_start", "grpo"]) == chosen


def test_without_training_there_is_only_the_base_model() -> None:
    assert model_to_use({}, ["base"]) == "base"
