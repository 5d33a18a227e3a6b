"""Rewards that need a model: the week's reward model, where it passed its gate, and a judge, where one is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.rewards.catalog import Reward
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.judge.reward import JudgeReward
from grpo_pipeline.training.judge.settings import load_judge_settings
from grpo_pipeline.training.profiles import ResolvedTraining
from grpo_pipeline.training.reward_model.files import model_digest, read_description
from grpo_pipeline.training.reward_model.scoring import RewardModelReward
from grpo_pipeline.training.run_config import RunConfig


@dataclass(frozen=True)
class ModelReward:
    """One reward that counts in this run only, and which model it is: plain JSON values, nothing secret."""

    name: str
    weight: float
    score: Reward
    identity: Mapping[str, Any]


def model_rewards(
    config: RunConfig, resolved: ResolvedTraining, base: BaseModel, tokenizer: PreTrainedTokenizerBase, state: Path
) -> list[ModelReward]:
    """The rewards of this kind that a run has.

    Args:
        config: of the run.
        resolved: its settings; a weight of 0 takes a reward out.
        base: its base model.
        tokenizer: of the base model.
        state: where a reward keeps what must outlive a kill.

    Raises:
        PipelineError: the reward model's folder is no reward model, did not pass, or is one of another base model.
    """
    found = []
    weight = resolved.model_reward_weights.get("reward_model")
    if config.reward_model_dir and weight:
        found.append(_reward_model(config.reward_model_dir, weight, base, tokenizer))
    judge, weight = load_judge_settings(), resolved.model_reward_weights.get("judge")
    if judge.identity and weight:
        found.append(ModelReward("judge", weight, JudgeReward(judge, state), {**judge.identity, "weight": weight}))
    return found


def all_weights(resolved: ResolvedTraining, extra: Sequence[ModelReward]) -> dict[str, float]:
    """The weight of every reward of a run, by name."""
    return {**resolved.reward_weights, **{reward.name: reward.weight for reward in extra}}


def _reward_model(folder: Path, weight: float, base: BaseModel, tokenizer: PreTrainedTokenizerBase) -> ModelReward:
    try:
        stated, content = read_description(folder)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"{folder} holds no reward model: materialize reward_model again.") from error
    if content["verdict"]["status"] != "pass":
        raise PipelineError(f"The reward model in {folder} may not be used: {content['verdict']['reason']}")
    if (stated.base_model, stated.base_revision) != (base.name, base.revision):
        raise PipelineError(
            f"The reward model in {folder} was made for {stated.base_model}, not for {base.name}: materialize "
            "reward_model again, or set the weight of reward_model to 0 in GRPO_TRAINING__REWARD_WEIGHTS."
        )
    digest = model_digest(folder, stated)
    if digest != content["model_sha256"]:
        raise PipelineError(f"The reward model in {folder} is damaged: materialize reward_model again.")
    identity = {"kind": stated.kind, "weight": weight, "sha256": digest}
    return ModelReward("reward_model", weight, RewardModelReward(folder, base, tokenizer), identity)
