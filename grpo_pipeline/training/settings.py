"""Settings of the training stage, each also an environment variable `GRPO_TRAINING__<NAME>`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.rewards.weights import resolve_weights
from grpo_pipeline.training.budget_settings import BudgetSettings
from grpo_pipeline.training.methods.catalog import MethodName

ProfileName = Literal["gpu", "cpu", "tiny"]


class TrainingSettings(BudgetSettings):
    """How training works; what is unset comes from the profile."""

    profile: Literal["auto"] | ProfileName = Field(
        "auto", description="Hardware profile; auto: gpu where there is one, else cpu. tiny is for tests."
    )
    base_model: str | None = Field(
        None, description="Hub id or local folder of the base model; unset: the profile's model."
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: the same seed and data give the same adapter.")

    methods: tuple[MethodName, ...] | None = Field(
        None,
        min_length=1,
        description="Methods that compete each week on the same pairs, as a JSON list; the best that passes is "
        "promoted. sft: corrections alone; dpo; grpo: from the base model; grpo_after_warm_start; from_champion: GRPO "
        "that goes on from the champion, where there is one on the same base model. Unset: the profile's.",
    )
    warm_start: bool = Field(
        True, description="Fine-tune on the corrections (SFT) before GRPO; without it, GRPO starts from the base model."
    )
    warm_start_epochs: float | None = Field(None, gt=0, description="Passes over the pairs in the warm start.")
    warm_start_steps: int | None = Field(None, gt=0, description="Most optimizer steps of the warm start.")
    warm_start_batch: int | None = Field(
        None, gt=0, description="Examples in one optimizer step of the warm start, rehearsed ones included."
    )
    warm_start_learning_rate: float | None = Field(None, gt=0, description="Peak learning rate of the warm start.")
    rehearsal_share: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of each warm-start step that is general requests with the base model's own answers, so that "
        "the corrections' style is learned for the users' kind of requests only; 0 for none.",
    )

    dpo_learning_rate: float | None = Field(None, gt=0, description="Peak learning rate of DPO.")
    dpo_beta: float = Field(0.1, gt=0, description="How close DPO keeps to the base model; higher is closer.")

    epochs: float | None = Field(None, gt=0, description="Passes over the pairs in GRPO.")
    steps: int | None = Field(None, gt=0, description="Most optimizer steps of GRPO.")
    prompts_per_step: int | None = Field(None, gt=0, description="Prompts in one GRPO step.")
    num_generations: int | None = Field(None, ge=2, description="Answers sampled for each prompt: the group size.")
    micro_batch: int | None = Field(None, gt=0, description="Answers in one forward and backward pass on one device.")
    learning_rate: float | None = Field(None, gt=0, description="Peak learning rate of GRPO.")
    beta: float | None = Field(None, ge=0, description="Weight of the KL penalty to the warm-started policy.")
    guided: bool | None = Field(
        None,
        description="The last answer of each group is the correction itself, so that a prompt to which no sampled "
        "answer is right still teaches what is; it counts in the rewards that are shown, and the samples that "
        "are kept say which it is. Not with vLLM. Unset: the profile's.",
    )
    practise_unread: bool | None = Field(
        None,
        description="GRPO practises pairs that the warm start did not read, where there are enough of them; unset: "
        "the profile's.",
    )
    scale_rewards: Literal["batch", "group", "none"] = Field(
        "batch",
        description="Spread that advantages are divided by; group blows noise up where answers hardly differ.",
    )
    temperature: float = Field(1.0, gt=0, description="Sampling temperature of the answers.")
    max_prompt_tokens: int | None = Field(
        None,
        gt=0,
        description="Longest prompt, tools included; pairs with a longer one are left out and counted.",
    )
    max_completion_tokens: int | None = Field(None, gt=0, description="Longest answer sampled.")

    preflight: bool = Field(
        True, description="Sample answers before GRPO and skip it where they show that it cannot learn."
    )
    preflight_prompts: int | None = Field(
        None, gt=0, description="Prompts that the pre-flight samples a group of answers for."
    )
    preflight_min_useful: float = Field(
        0.2, ge=0, le=1, description="Share of groups that must have something to teach; credibly below: no-go."
    )
    preflight_min_spread: float = Field(
        0.01, ge=0, description="Spread of the rewards in a group up to which it teaches nothing but noise."
    )

    gradient_checkpointing: bool | None = Field(
        None,
        description="Compute activations a second time instead of keeping them: slower, needs less memory; unset: only "
        "on a GPU with less than 60 GiB.",
    )
    vllm: Literal["auto", "off", "colocate", "server"] = Field(
        "auto",
        description="Sample answers with vLLM, beside the trainer on its GPU (colocate) or on a server; auto: colocate "
        "where vllm is installed and there is a GPU.",
    )
    vllm_server_url: str | None = Field(
        None, description="Address of `trl vllm-serve` for vllm=server, like http://127.0.0.1:8000."
    )

    lora_rank: int | None = Field(None, gt=0, description="Rank of the LoRA adapter, on all linear layers.")
    save_every: int | None = Field(None, gt=0, description="Optimizer steps between checkpoints.")
    reward_weights: dict[str, float] = Field(
        default_factory=dict,
        description="Changed weights by reward name; 0 takes a reward out. `reward_model` (0.3) and `judge` (0.5) "
        "count only where there is one.",
    )

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: tuple[MethodName, ...] | None) -> tuple[MethodName, ...] | None:
        if methods and len(set(methods)) != len(methods):
            raise ValueError("name each method at most once")
        return methods

    @field_validator("reward_weights")
    @classmethod
    def _known_rewards(cls, weights: dict[str, float]) -> dict[str, float]:
        try:
            resolve_weights(weights)
        except PipelineError as error:
            raise ValueError(str(error)) from error
        return weights
