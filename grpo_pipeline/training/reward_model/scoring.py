"""The reward model as a reward: answers of the policy in, rewards from -2 to 2 out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from grpo_pipeline.reward_modelling.heads import Heads
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.reward_model.features import Answered, FeatureExtractor, load_lower_half
from grpo_pipeline.training.reward_model.files import ADAPTER, Description, read_description, read_heads
from grpo_pipeline.training.reward_model.pairs import answer_tokens, as_text


class Scorer(Protocol):
    """Gives answers values, of which only differences mean anything."""

    def values(self, items: Sequence[Answered]) -> NDArray[np.float64]:
        """One value per answer, in the order of the items and their answers."""


class HeadScorer:
    """Scores answers by heads on the base model's features."""

    def __init__(self, extractor: FeatureExtractor, heads: Heads) -> None:
        self.extractor = extractor
        self.heads = heads

    def values(self, items: Sequence[Answered]) -> NDArray[np.float64]:
        """One value per answer, in the order of the items and their answers."""
        return self.heads.values(self.extractor.features(items).astype(np.float64))


def device() -> torch.device:
    """The GPU of this process, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


class RewardModelReward:
    """Scores sampled answers by the week's reward model, which is loaded with the first of them."""

    def __init__(self, folder: Path, base: BaseModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.folder = folder
        self.base = base
        self.tokenizer = tokenizer
        self.description: Description = read_description(folder)[0]

    @cached_property
    def scorer(self) -> Scorer:
        """What gives the values, in memory from now on."""
        stated = self.description
        if stated.kind == "lora":
            # Loads a trainer that other runs have no use for.
            from grpo_pipeline.training.reward_model.lora import LoraScorer

            return LoraScorer(self.base, self.folder / ADAPTER, self.tokenizer, stated.dtype, stated.batch_tokens)
        model = load_lower_half(self.base, stated.dtype, device())
        return HeadScorer(FeatureExtractor(model, stated.batch_tokens), read_heads(self.folder))

    def __call__(self, completions: Sequence[str], prompts: Sequence[str], **columns: object) -> list[float | None]:
        """One reward per completion, from -2 to 2; `prompts` are as the policy read them."""
        tokens = [answer_tokens(self.tokenizer, text, self.description.longest_answer) for text in completions]
        asked: dict[str, list[int]] = {}
        for row, (prompt, answer) in enumerate(zip(prompts, tokens, strict=True)):
            if answer:
                asked.setdefault(prompt, []).append(row)
        items = [
            Answered(self.tokenizer([prompt])["input_ids"][0], [tokens[row] for row in rows])
            for prompt, rows in asked.items()
        ]
        values = np.zeros(len(completions))
        if items:
            values[[row for rows in asked.values() for row in rows]] = self.scorer.values(items)
        texts = [as_text(self.tokenizer, answer) for answer in tokens]
        return [float(reward) for reward in self.description.scale.rewards(values, texts)]
