"""Rehearsal: general requests, answered as the base model answers them, mixed into the warm start.

Fine-tuning on one agent's corrections teaches their style for whatever is asked: without rehearsal, a policy that had
learned to write company briefs answered "What is the capital of France?" with one. Each step therefore also repeats the
base model's own answers to other requests, so that the style is learned for requests like the users' and everything
else stays what it was. Self-distillation as in Learning without Forgetting (Li and Hoiem 2016,
https://arxiv.org/abs/1606.09282), on requests of its own as in pseudo-rehearsal (Robins 1995, "Catastrophic forgetting,
rehearsal and pseudorehearsal").
"""

from __future__ import annotations

import gc
import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from grpo_pipeline.artifacts import write_atomically
from grpo_pipeline.conversation import Message
from grpo_pipeline.training.data import Rehearsed
from grpo_pipeline.training.fast_writing import make_fast
from grpo_pipeline.training.loading import end_tokens, load_policy, render_prompt
from grpo_pipeline.training.policy import Policy
from grpo_pipeline.training.rehearsal_prompts import REQUESTS
from grpo_pipeline.training.rollouts import GREEDY, sample_rollouts

REHEARSAL_FILE = "rehearsal.json"
# Longest answer that is repeated: how a model begins to answer is where a house style shows.
ANSWER_TOKENS = 24


def requests() -> Iterator[list[Message]]:
    """The general requests as conversations."""
    for system, texts in REQUESTS:
        for text in texts:
            asked: Message = {"role": "user", "content": text}
            yield [asked] if system is None else [{"role": "system", "content": system}, asked]


def rehearse_once(policy: Policy, tokenizer: PreTrainedTokenizerBase, folder: Path, steps: int) -> list[Rehearsed]:
    """What is rehearsed; answered by the first process and once only, however often the run is taken up again.

    Args:
        folder: of the phase's checkpoints, where the answers are kept.
        steps: of the warm start; no more requests are answered than they read.
    """
    if not policy.resolved.rehearsed_per_step:
        return []
    if PartialState().is_main_process and not (folder / REHEARSAL_FILE).exists():
        answered = [asdict(item) for item in _answered_by_base(policy, tokenizer, steps)]
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / REHEARSAL_FILE, json.dumps(answered))
    PartialState().wait_for_everyone()
    return earlier_rehearsal(folder)


def earlier_rehearsal(folder: Path) -> list[Rehearsed]:
    """What was answered in this run before; nothing where no rehearsal was asked for."""
    path = folder / REHEARSAL_FILE
    if not path.exists():
        return []
    return [Rehearsed(**item) for item in json.loads(path.read_text(encoding="utf-8"))]


def _answered_by_base(policy: Policy, tokenizer: PreTrainedTokenizerBase, steps: int) -> list[Rehearsed]:
    asked = list(requests())
    read = min(len(asked), steps * policy.resolved.rehearsed_per_step)
    prompts = []
    for conversation in random.Random(policy.resolved.seed).sample(asked, read):
        try:
            prompts.append(tokenizer([render_prompt(tokenizer, conversation)])["input_ids"][0])
        except TemplateError:
            # Some chat templates take no system message; the other requests are enough.
            continue
    model = load_policy(policy.base, dtype=policy.resolved.dtype)
    make_fast(model)
    answers = sample_rollouts(
        model,
        prompts,
        end_tokens=end_tokens(model, tokenizer),
        max_new_tokens=min(ANSWER_TOKENS, policy.resolved.max_completion_tokens),
        min_new_tokens=0,
        temperature=GREEDY,
    )
    if torch.cuda.is_available():
        # The model's memory would be kept from what trains next.
        del model
        gc.collect()
        torch.cuda.empty_cache()
    return [Rehearsed(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
