"""One model on the regression suite: greedy answers, and which of two continuations it finds likelier."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo_pipeline.evaluation.config import Sizes
from grpo_pipeline.evaluation.likelihood import log_probabilities
from grpo_pipeline.evaluation.regression.probe import Probe
from grpo_pipeline.evaluation.regression.suite import ANSWER_TOKENS, probes
from grpo_pipeline.evaluation.sampling import GREEDY, sample_answers
from grpo_pipeline.training.loading import render_prompt
from grpo_pipeline.training.prefill import Prefilled, prefill


@dataclass(frozen=True)
class Probed:
    """What one model did on one probe: its family, its place in it, the score from 0 to 1 and the answer."""

    family: str
    place: int
    score: float
    answer: str

    @property
    def name(self) -> str:
        """The probe's name among the pairs."""
        return f"{self.family}/{self.place:02d}"


@torch.inference_mode()
def answer_probes(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sizes: Sizes, end_tokens: Collection[int]
) -> list[Probed]:
    """The suite's probes, family by family, each in one batch; none where it is switched off."""
    found = []
    for family, items in probes(sizes.regression_items):
        prompts = [
            tokenizer(render_prompt(tokenizer, [{"role": "user", "content": item.prompt}], item.tools))["input_ids"]
            for item in items
        ]
        state = prefill(model, prompts)
        leanings = _leanings(model, tokenizer, state, items)
        answers = sample_answers(
            model,
            state,
            end_tokens=end_tokens,
            max_new_tokens=ANSWER_TOKENS[family],
            temperature=GREEDY,
            seed=sizes.seed,
        )
        texts = tokenizer.batch_decode([list(answer.ids) for answer in answers], skip_special_tokens=True)
        for place, (item, text, leaning) in enumerate(zip(items, texts, leanings, strict=True)):
            parts = [part for part in (leaning, item.check(text) if item.check else None) if part is not None]
            found.append(Probed(family, place, sum(parts) / len(parts), text))
    return found


def _leanings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, state: Prefilled, items: Sequence[Probe]
) -> list[float | None]:
    """How much rather each model would give the right of two answers, by their mean log-probabilities per token."""
    texts = [text for item in items for text in (item.right, item.wrong) if text]
    if not texts:
        return [None] * len(items)
    both = copy.deepcopy(state)
    both.repeat(2)
    answers = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    rows = log_probabilities(model, both, answers)
    means = [float(row[: len(answer)].mean()) for row, answer in zip(rows, answers, strict=True)]
    return [1.0 / (1.0 + math.exp(wrong - right)) for right, wrong in zip(means[0::2], means[1::2], strict=True)]
