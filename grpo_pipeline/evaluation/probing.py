"""One model on the regression suite: greedy answers, and which of two continuations it finds likelier."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo_pipeline.evaluation.config import Sizes
from grpo_pipeline.evaluation.likelihood import log_probabilities
from grpo_pipeline.evaluation.regression.probe import Probe
from grpo_pipeline.evaluation.regression.suite import ANSWER_TOKENS, APART, probes
from grpo_pipeline.evaluation.sampling import sample_answers
from grpo_pipeline.training.loading import render_prompt
from grpo_pipeline.training.prefill import Prefilled, prefill
from grpo_pipeline.training.rollouts import GREEDY


@dataclass(frozen=True)
class Probed:
    """What one model did on one probe: its family, its place in it, the score from 0 to 1 and the answer, if any."""

    family: str
    place: int
    score: float
    answer: str | None

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
            found += _scored(family, place, leaning, item.check(text), text)
    return found


def _scored(family: str, place: int, leaning: float | None, checked: float, answer: str) -> list[Probed]:
    if leaning is None:
        return [Probed(family, place, checked, answer)]
    if family in APART:
        return [Probed(family, place, leaning, None), Probed(APART[family], place, checked, answer)]
    return [Probed(family, place, (leaning + checked) / 2.0, answer)]


def _leanings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, state: Prefilled, items: Sequence[Probe]
) -> list[float | None]:
    """How much rather the model would give the right of two answers, 0 to 1, by their log-probabilities.

    Of two whole answers the mean per token counts, as one is longer; of two endings of one sentence all of it.
    """
    texts = [text for item in items for text in (item.right, item.wrong) if text]
    if not texts:
        return [None] * len(items)
    both = copy.deepcopy(state)
    both.repeat(2)
    answers = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    rows = log_probabilities(model, both, answers)
    ends = items[0].family in APART
    values = [
        float(row.sum()) / (1 if ends else len(answer)) for row, answer in zip(rows.double(), answers, strict=True)
    ]
    leads = [right - wrong for right, wrong in zip(values[0::2], values[1::2], strict=True)]
    return [float(lead) for lead in torch.tensor(leads).sigmoid()]
