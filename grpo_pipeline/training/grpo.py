"""Second phase: GRPO, which samples groups of answers and moves towards those with the higher reward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import GRPOConfig

from grpo_pipeline.training.batches import process_rank, process_share
from grpo_pipeline.training.checkpoints import MarkWhole
from grpo_pipeline.training.data import TrainingData, grpo_dataset, warm_start_examples
from grpo_pipeline.training.fast_grpo import FastGRPOTrainer
from grpo_pipeline.training.loading import end_tokens
from grpo_pipeline.training.model_rewards import ModelReward, all_weights
from grpo_pipeline.training.policy import trainer_options
from grpo_pipeline.training.profiles import ResolvedTraining
from grpo_pipeline.training.samples import SampleRecorder
from grpo_pipeline.training.warm_start import warm_start_steps

PHASE = "GRPO"
# Raises the ceiling for tokens that get likelier, which keeps answers varied (DAPO, https://arxiv.org/abs/2503.14476).
CLIP_HIGH = 0.28


def grpo_steps(pairs: int, resolved: ResolvedTraining) -> int:
    """Optimizer steps of GRPO."""
    wanted = max(1, math.ceil(pairs * resolved.epochs / resolved.prompts_per_step))
    return min(wanted, resolved.steps or wanted)


def _read_before(data: TrainingData, resolved: ResolvedTraining) -> set[str]:
    """Ids of the pairs that GRPO leaves out where it can, as the warm start has read them."""
    if not resolved.practise_unread:
        return set()
    steps = warm_start_steps(len(data.examples), resolved)
    return {example.pair_id for example in warm_start_examples(data, resolved, steps)}


def _sampler_options(resolved: ResolvedTraining) -> dict[str, Any]:
    """What TRL is told about vLLM. Its random numbers are its own: a run that is taken up again samples anew."""
    if resolved.vllm == "off":
        return {}
    return {
        "use_vllm": True,
        "vllm_mode": resolved.vllm,
        "vllm_server_base_url": resolved.vllm_server_url,
        "vllm_max_model_length": resolved.max_prompt_tokens + resolved.max_completion_tokens,
        # vLLM's probabilities differ a little from the trainer's. A ratio over whole answers shrinks with their length.
        "vllm_importance_sampling_mode": "token_truncate",
    }


def train_grpo(
    model: PeftModel,
    data: TrainingData,
    tokenizer: PreTrainedTokenizerBase,
    resolved: ResolvedTraining,
    folder: Path,
    completions: Path,
    checkpoint: Path | None,
    callbacks: Sequence[TrainerCallback],
    model_rewards: Sequence[ModelReward] = (),
) -> FastGRPOTrainer:
    """Train an adapter on the rewards, from a checkpoint where there is one."""
    answers = resolved.prompts_per_step * resolved.num_generations
    share = process_share(answers, "prompts_per_step x num_generations")
    weights, own = all_weights(resolved, model_rewards), {reward.name: reward.score for reward in model_rewards}
    recorder = SampleRecorder(completions, weights, end_tokens(model, tokenizer), process_rank(), own)
    steps = grpo_steps(len(data.sampled), resolved)
    trainer = FastGRPOTrainer(
        answers_per_pass=resolved.micro_batch,
        guided=resolved.guided,
        model=model,
        reward_funcs=recorder.rewards(),
        args=GRPOConfig(
            output_dir=str(folder),
            per_device_train_batch_size=share,
            # Each batch of answers serves one optimizer step: anything else would not resume exactly, as answers
            # sampled before a checkpoint are not part of it.
            gradient_accumulation_steps=1,
            steps_per_generation=1,
            num_iterations=1,
            num_generations=resolved.num_generations,
            max_completion_length=resolved.max_completion_tokens,
            learning_rate=resolved.learning_rate,
            max_steps=steps,
            temperature=resolved.temperature,
            beta=resolved.beta,
            loss_type="dr_grpo",
            scale_rewards=resolved.scale_rewards,
            epsilon_high=CLIP_HIGH,
            # A cut answer is learned from as well: were it masked, the penalty for finding no end would teach
            # nothing, and answers are cut more and more (6 % to 17 % of a tiny model's in 60 steps, else 6 % to 2 %).
            mask_truncated_completions=False,
            # The dataset is in the order of the steps already.
            shuffle_dataset=False,
            reward_weights=list(weights.values()),
            **_sampler_options(resolved),
            **trainer_options(resolved),
        ),
        train_dataset=grpo_dataset(data, resolved, steps, _read_before(data, resolved)),
        processing_class=tokenizer,
        callbacks=[*callbacks, MarkWhole()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer
