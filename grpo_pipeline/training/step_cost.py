"""What a step costs, measured on a part of it: forward and backward passes, nothing updated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from transformers import PreTrainedModel

from grpo_pipeline.training.data import IGNORED, learned
from grpo_pipeline.training.padding import padded
from grpo_pipeline.training.profiles import ResolvedTraining
from grpo_pipeline.training.token_scores import PromptedAnswers, score_answers, score_labels
from grpo_pipeline.training.warm_start import LeftPadding

# With checkpointing, the forward pass is done again on the way back, which takes twice as long as the pass itself.
RECOMPUTED = 4 / 3

Tokens = Sequence[int]
T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What the work gives and the seconds it takes, the device's own included."""
    began = time.monotonic()
    found = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.monotonic() - began


def scoring_pass_seconds(
    merged: PreTrainedModel, sequences: Sequence[tuple[Tokens, Tokens]], resolved: ResolvedTraining
) -> float:
    """Seconds of GRPO's forward and backward pass over prompts with their answers, as token ids.

    Args:
        merged: the policy's merged twin.
        sequences: prompt and answer of each; the answers to one prompt next to each other.
    """
    given = _prompted(sequences, merged.device)

    def work() -> None:
        if resolved.beta > 0:
            with torch.no_grad():
                score_answers(merged, given, resolved.temperature)
        log_probs, _ = score_answers(merged, given, resolved.temperature)
        log_probs.sum().backward()

    return _second_time(work, merged.device) * (RECOMPUTED if resolved.gradient_checkpointing else 1.0)


def correction_pass_seconds(
    merged: PreTrainedModel, sequences: Sequence[tuple[Tokens, Tokens]], resolved: ResolvedTraining
) -> float:
    """Seconds of the warm start's forward and backward pass over prompts with their corrections, as token ids."""
    batch = LeftPadding(0)([learned(prompt, answer) for prompt, answer in sequences])
    tokens, mask, labels = (batch[name].to(merged.device) for name in ("input_ids", "attention_mask", "labels"))

    def work() -> None:
        score_labels(merged, tokens, mask, labels, IGNORED).sum().backward()

    return _second_time(work, merged.device) * (RECOMPUTED if resolved.gradient_checkpointing else 1.0)


def _second_time(work: Callable[[], None], device: torch.device) -> float:
    if device.type == "cuda":
        # The first pass also loads the kernels.
        work()
        torch.cuda.synchronize()
    return timed(work)[1]


def _prompted(sequences: Sequence[tuple[Tokens, Tokens]], device: torch.device) -> PromptedAnswers:
    prompts, prompt_mask = padded([prompt for prompt, _ in sequences], device, "left")
    answers, answer_mask = padded([answer for _, answer in sequences], device)
    return PromptedAnswers(prompts, prompt_mask, answers, answer_mask)
