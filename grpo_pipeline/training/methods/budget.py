"""How much each method may learn from: the same pairs, and as many reads of them as GRPO after its warm start.

A pair is read once each time its answers, or answers sampled to its prompt, are in an optimizer step. SFT is the warm
start alone, so it reads less: it shows what GRPO adds. GRPO from the champion has the champion in place of the warm
start, and reads what GRPO alone does.
"""

from __future__ import annotations

import math

from grpo_pipeline.training.data import TrainingData
from grpo_pipeline.training.grpo import grpo_steps
from grpo_pipeline.training.methods.catalog import MethodName
from grpo_pipeline.training.profiles import ResolvedTraining
from grpo_pipeline.training.warm_start import warm_start_steps


def pair_reads(method: MethodName, data: TrainingData, resolved: ResolvedTraining) -> int:
    """How often a method reads a pair, over all its steps."""
    warm = warm_start_steps(len(data.examples), resolved) * resolved.pairs_per_step if resolved.warm_start else 0
    sampled = grpo_steps(len(data.sampled), resolved) * resolved.prompts_per_step
    match method:
        case "sft":
            return warm
        case "from_champion":
            return sampled
        case "dpo":
            return dpo_steps(data, resolved) * resolved.warm_start_batch
        case "grpo":
            return math.ceil((warm + sampled) / resolved.prompts_per_step) * resolved.prompts_per_step
        case "grpo_after_warm_start":
            return warm + sampled


def dpo_steps(data: TrainingData, resolved: ResolvedTraining) -> int:
    """Optimizer steps of DPO."""
    return math.ceil(pair_reads("grpo_after_warm_start", data, resolved) / resolved.warm_start_batch)


def grpo_budget(method: MethodName, data: TrainingData, resolved: ResolvedTraining) -> ResolvedTraining:
    """The settings with which a method runs GRPO: from the base model it takes the warm start's reads as well."""
    if method != "grpo":
        return resolved
    steps = pair_reads("grpo", data, resolved) // resolved.prompts_per_step
    return resolved.model_copy(update={"steps": steps, "epochs": float(steps * resolved.prompts_per_step)})
