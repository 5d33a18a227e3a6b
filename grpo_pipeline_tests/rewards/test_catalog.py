import pickle
import subprocess
import sys

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.rewards.catalog import REWARDS, score, total
from grpo_pipeline.rewards.weights import DEFAULT_WEIGHTS, resolve_weights

COLUMNS = {
    "chosen": ["It grew 80%.", "It grew 80%."],
    "rejected": ["It grew.", "It grew."],
    "question": ["How much did it grow?", "How much did it grow?"],
    "cut": [False, True],
}


def test_every_reward_has_a_weight_and_its_own_name() -> None:
    assert list(REWARDS) == list(DEFAULT_WEIGHTS)
    assert [reward.__name__ for reward in REWARDS.values()] == list(REWARDS)


def test_rewards_travel_between_processes() -> None:
    assert pickle.loads(pickle.dumps(REWARDS)) == REWARDS


def test_a_better_answer_has_the_higher_total() -> None:
    scores = score(DEFAULT_WEIGHTS, ["It grew 80%.", "It grew and grew and grew and grew"], **COLUMNS)
    assert list(scores) == list(DEFAULT_WEIGHTS)
    assert scores["tool_call"] == [None, None]
    better, worse = total(scores, DEFAULT_WEIGHTS)
    assert better is not None
    assert worse is not None
    assert better > worse


def test_a_completion_that_no_reward_applies_to_has_no_total() -> None:
    assert total({"tool_call": [None, 0.5]}, {"tool_call": 2.0}) == [None, 1.0]


def test_a_weight_of_zero_takes_a_reward_out() -> None:
    assert "empty" not in resolve_weights({"empty": 0})
    assert resolve_weights({"similarity": 3.0})["similarity"] == 3.0


@pytest.mark.parametrize("weights", [{"no_such": 1.0}, dict.fromkeys(DEFAULT_WEIGHTS, 0.0)])
def test_weights_that_cannot_be_used_are_named(weights: dict[str, float]) -> None:
    with pytest.raises(PipelineError, match="reward_weights"):
        resolve_weights(weights)


def test_rewards_and_training_settings_load_without_torch() -> None:
    code = (
        "import sys, grpo_pipeline.rewards.catalog, grpo_pipeline.training.settings, grpo_pipeline.training.profiles, "
        "grpo_pipeline.training.run_config, grpo_pipeline.training.base_model\n"
        "heavy = {'torch', 'transformers', 'trl', 'peft'} & set(sys.modules); sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
