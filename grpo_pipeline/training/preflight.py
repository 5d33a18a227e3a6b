"""Samples a few groups of answers from the policy that GRPO would start from, and measures what a step costs."""

from __future__ import annotations

import gc
import json
import math
import random
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo_pipeline.artifacts import write_atomically
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.gates.preflight import Preflight, Sampled, Timing, judge
from grpo_pipeline.rewards.catalog import REWARDS, total
from grpo_pipeline.training.data import Example, TrainingData
from grpo_pipeline.training.grpo import grpo_steps
from grpo_pipeline.training.loading import end_tokens, load_policy
from grpo_pipeline.training.merged import MergedPolicy
from grpo_pipeline.training.model_rewards import ModelReward, all_weights
from grpo_pipeline.training.policy import Policy, fresh_policy
from grpo_pipeline.training.profiles import ResolvedTraining
from grpo_pipeline.training.rollouts import sample_rollouts
from grpo_pipeline.training.step_cost import Tokens, correction_pass_seconds, scoring_pass_seconds, timed
from grpo_pipeline.training.warm_start import warm_start_steps
from grpo_pipeline.training.watching import Watcher

ValueT = TypeVar("ValueT")

PHASE = "Pre-flight"
SAMPLED_FILE = "preflight_sampled.json"


@contextmanager
def untouched_random_state() -> Iterator[None]:
    """Leave every source of chance as it was, so that training is the same with and without what is done here."""
    plain, numbers = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(numbers)


def earlier_preflight(folder: Path, resolved: ResolvedTraining) -> Preflight | None:
    """What an earlier attempt measured, judged by the settings of this one; None where there is nothing."""
    path = folder / SAMPLED_FILE
    if not path.exists():
        return None
    stated = json.loads(path.read_text(encoding="utf-8"))
    sampled = Sampled(stated["rewards"], stated["again"], stated["cut"], Timing(**stated["timing"]))
    return judge(sampled, min_useful=resolved.preflight_min_useful, min_spread=resolved.preflight_min_spread)


@dataclass(frozen=True)
class Start:
    """Where GRPO would start: the policy's base and settings, and its adapter (None for the base model itself)."""

    policy: Policy
    adapter: Path | None
    devices: int
    """Processes that will train together."""
    model_rewards: Sequence[ModelReward] = ()


def preflight_once(
    start: Start, folder: Path, data: TrainingData, tokenizer: PreTrainedTokenizerBase, watcher: Watcher
) -> Preflight:
    """Go or no-go; measured by the first process and once only, however often the run is taken up again.

    Args:
        folder: of the phase's checkpoints, where what was measured is kept.
    """
    resolved = start.policy.resolved
    if PartialState().is_main_process and earlier_preflight(folder, resolved) is None:
        sampled = sample_for_preflight(start, data, tokenizer, watcher)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / SAMPLED_FILE, json.dumps(asdict(sampled)))
    PartialState().wait_for_everyone()
    found = earlier_preflight(folder, resolved)
    assert found is not None
    watcher.note(found.reason)
    return found


def sample_for_preflight(
    start: Start, data: TrainingData, tokenizer: PreTrainedTokenizerBase, watcher: Watcher
) -> Sampled:
    """Sample groups of answers to some of the training prompts, score them as training does, and time every part."""
    began = time.monotonic()
    with untouched_random_state():
        found = _sample(start, data, tokenizer, watcher, began)
    if torch.cuda.is_available():
        # The model's memory would be kept from what trains next.
        gc.collect()
        torch.cuda.empty_cache()
    return found


def _sample(
    start: Start, data: TrainingData, tokenizer: PreTrainedTokenizerBase, watcher: Watcher, began: float
) -> Sampled:
    resolved, group = start.policy.resolved, start.policy.resolved.num_generations
    policy = _load(start)
    merged = MergedPolicy(policy).refresh()
    examples = _chosen(data.sampled, resolved)
    # As many at once as one device samples in a step.
    share = max(1, resolved.prompts_per_step // start.devices)
    ends = end_tokens(policy, tokenizer)
    answers: list[list[int]] = []
    sampling = 0.0
    torch.manual_seed(resolved.seed)
    for first in range(0, len(examples), share):
        batch = examples[first : first + share]
        found, seconds = timed(lambda: _answers(merged, batch, ends, resolved))  # noqa: B023
        if resolved.guided:
            # As in training: a prompt to which no sampled answer is right still teaches what is.
            found[group - 1 :: group] = [list(example.chosen_tokens) for example in batch]
        answers, sampling = answers + found, sampling + seconds
        watcher.step(f"{PHASE} prompt", len(answers) // group, len(examples), f"{len(answers)} answers sampled")
    cut = [not answer or answer[-1] not in ends for answer in answers]
    (rewards, again), scoring = timed(lambda: _scored_twice(tokenizer, examples, answers, cut, start))
    sampled_steps = len(examples) / share
    return Sampled(
        rewards=_grouped(rewards, group),
        again=_grouped(again, group),
        cut=_grouped(cut, group),
        timing=Timing(
            steps=grpo_steps(len(data.sampled), resolved),
            answers_per_step=resolved.prompts_per_step * group,
            devices=start.devices,
            tokens_per_answer=sum(len(answer) for answer in answers) / len(answers),
            sampling=sampling / sampled_steps,
            scoring=scoring / 2 / sampled_steps,
            training=_training_seconds(merged, examples, answers, start) * _counting(rewards, resolved),
            warm_start=_warm_start_seconds(merged, data, start) if start.adapter is None else 0.0,
            took=time.monotonic() - began,
        ),
    )


def _load(start: Start) -> PeftModel:
    """A copy of its own, so that the one that is trained stays untouched."""
    resolved = start.policy.resolved
    if start.adapter is None:
        policy = fresh_policy(start.policy)
    else:
        policy = load_policy(start.policy.base, start.adapter, dtype=resolved.dtype, trainable=True)
    placed: PeftModel = policy.to(PartialState().device)
    return placed


def _chosen(examples: Sequence[Example], resolved: ResolvedTraining) -> list[Example]:
    """Prompts picked by the seed; those of like length side by side, as in training."""
    count = min(resolved.preflight_prompts, len(examples))
    picked = random.Random(resolved.seed).sample(list(examples), count)
    return sorted(picked, key=lambda example: (len(example.prompt_tokens), example.pair_id))


def _answers(
    merged: PreTrainedModel, examples: Sequence[Example], ends: Collection[int], resolved: ResolvedTraining
) -> list[list[int]]:
    return sample_rollouts(
        merged,
        [example.prompt_tokens for example in examples for _ in range(resolved.num_generations)],
        end_tokens=ends,
        max_new_tokens=resolved.max_completion_tokens,
        min_new_tokens=0,
        temperature=resolved.temperature,
    )


def _scored_twice(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    answers: Sequence[Tokens],
    cut: Sequence[bool],
    start: Start,
) -> tuple[list[float | None], list[float | None]]:
    texts = tokenizer.batch_decode(answers, skip_special_tokens=True)
    asked = [example for example in examples for _ in range(start.policy.resolved.num_generations)]
    columns: dict[str, Sequence[object]] = {
        "prompts": [example.prompt for example in asked],
        "chosen": [example.chosen for example in asked],
        "rejected": [example.rejected for example in asked],
        "question": [example.question for example in asked],
        "cut": cut,
    }

    weights = all_weights(start.policy.resolved, start.model_rewards)
    known = {**REWARDS, **{reward.name: reward.score for reward in start.model_rewards}}

    def scored() -> list[float | None]:
        found = total({name: known[name](texts, **columns) for name in weights}, weights)
        broken = sum(value is not None and not math.isfinite(value) for value in found)
        if broken:
            raise PipelineError(
                f"{broken} of {len(found)} sampled answers have a reward that is no finite number: give the broken "
                "reward a weight of 0 (GRPO_TRAINING__REWARD_WEIGHTS), or mend it."
            )
        return found

    return scored(), scored()


def _training_seconds(
    merged: PreTrainedModel, examples: Sequence[Example], answers: Sequence[Tokens], start: Start
) -> float:
    """Seconds of a step's passes on one device, as if all its answers had something to teach."""
    resolved = start.policy.resolved
    group = resolved.num_generations
    own = max(1, resolved.prompts_per_step * group // start.devices)
    # Of middling length, as the prompts are in order of it.
    first = max(0, len(answers) // 2 - min(own, resolved.micro_batch) // 2)
    rows = range(first, min(len(answers), first + min(own, resolved.micro_batch)))
    sequences = [(examples[row // group].prompt_tokens, answers[row]) for row in rows]
    return scoring_pass_seconds(merged, sequences, resolved) * own / len(sequences)


def _counting(rewards: Sequence[float | None], resolved: ResolvedTraining) -> float:
    """Share of the answers that training does not leave out: those with an advantage or a KL penalty."""
    alive = [len(set(row) - {None}) > 1 or resolved.beta > 0 for row in _grouped(rewards, resolved.num_generations)]
    return sum(alive) / len(alive)


def _warm_start_seconds(merged: PreTrainedModel, data: TrainingData, start: Start) -> float:
    """Seconds of the whole warm start, by one pass over corrections."""
    resolved = start.policy.resolved
    if not resolved.warm_start:
        return 0.0
    own = max(1, resolved.warm_start_batch // start.devices)
    examples = _chosen(data.examples, resolved)[: min(own, resolved.micro_batch)]
    sequences = [(example.prompt_tokens, example.chosen_tokens) for example in examples]
    seconds = correction_pass_seconds(merged, sequences, resolved)
    return seconds * own / len(sequences) * warm_start_steps(len(data.examples), resolved)


def _grouped(values: Sequence[ValueT], size: int) -> list[list[ValueT]]:
    return [list(values[first : first + size]) for first in range(0, len(values), size)]
