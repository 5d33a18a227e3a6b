"""Reads a preference dataset and writes it the way every training phase needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from datasets import Dataset
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from grpo_pipeline.artifacts import file_digest
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.batches import schedule
from grpo_pipeline.training.loading import render_prompt
from grpo_pipeline.training.profiles import ResolvedTraining

TRAIN_FILE = "train.parquet"
# Marks tokens that are read but not learned.
IGNORED = -100
COLUMNS = ("id", "prompt", "chosen", "rejected", "tools")
# A correction longer than this many sampled answers is cut for the warm start, to bound its memory.
LONGEST_CORRECTION = 2
PROMPT_TOO_LONG = "prompt longer than max_prompt_tokens"
PROMPT_REFUSED = "conversation or tools that the chat template does not take"
LEFT_OUT = (PROMPT_TOO_LONG, PROMPT_REFUSED)
CORRECTION_TOO_LONG = "correction longer than max_completion_tokens: warm start only"


@dataclass(frozen=True)
class Example:
    """One pair: the prompt as the model reads it, both answers, and their lengths in tokens."""

    pair_id: str
    prompt: str
    question: str
    chosen: str
    rejected: str
    prompt_tokens: Sequence[int]
    chosen_tokens: Sequence[int]
    rejected_tokens: Sequence[int]


@dataclass(frozen=True)
class Rehearsed:
    """One general request and the base model's own answer to it, in token ids."""

    prompt_tokens: Sequence[int]
    answer_tokens: Sequence[int]


@dataclass(frozen=True)
class TrainingData:
    """The pairs that can be trained on, in the order of their ids, and why the others cannot.

    `set_aside` holds the reason by id, also for pairs that only one of the phases uses.
    """

    examples: Sequence[Example]
    sampled: Sequence[Example]
    set_aside: Mapping[str, str]
    digest: str

    @property
    def pairs(self) -> int:
        """All pairs of the dataset."""
        return len(self.examples) + len(self.left_out)

    @property
    def left_out(self) -> list[str]:
        """Ids of the pairs that neither phase uses."""
        return [pair_id for pair_id, reason in self.set_aside.items() if reason in LEFT_OUT]


def _read(dataset_dir: Path) -> pl.DataFrame:
    path = dataset_dir / TRAIN_FILE
    if not path.exists():
        raise PipelineError(f"The dataset {dataset_dir} has no {TRAIN_FILE}: materialize preference_dataset first.")
    pairs = pl.read_parquet(path)
    missing = [name for name in COLUMNS if name not in pairs.columns]
    if missing:
        raise PipelineError(f"{path} lacks the columns {', '.join(missing)}: materialize preference_dataset again.")
    return pairs.select(COLUMNS).sort("id")


def load_training_data(
    dataset_dir: Path, tokenizer: PreTrainedTokenizerBase, resolved: ResolvedTraining
) -> TrainingData:
    """Render and measure every pair of a dataset directory.

    A pair whose prompt is too long or cannot be rendered is left out; one whose correction is longer than any answer
    that may be sampled teaches in the warm start only.

    Raises:
        PipelineError: the dataset cannot be read, or leaves too few pairs for one step.
    """
    examples: list[Example] = []
    set_aside: dict[str, str] = {}
    pairs = _read(dataset_dir)
    for row in pairs.iter_rows(named=True):
        try:
            prompt = render_prompt(tokenizer, row["prompt"], row["tools"])
        except (TemplateError, ValueError):
            set_aside[row["id"]] = PROMPT_REFUSED
            continue
        chosen, rejected = row["chosen"][-1]["content"], row["rejected"][-1]["content"]
        prompt_tokens, chosen_tokens = tokenizer([prompt])["input_ids"][0], _answer_tokens(tokenizer, chosen)
        if len(prompt_tokens) > resolved.max_prompt_tokens:
            set_aside[row["id"]] = PROMPT_TOO_LONG
            continue
        if len(chosen_tokens) > resolved.max_completion_tokens:
            set_aside[row["id"]] = CORRECTION_TOO_LONG
        question = "\n".join(message["content"] for message in row["prompt"] if message["role"] == "user")
        rejected_tokens = _answer_tokens(tokenizer, rejected)
        examples.append(
            Example(row["id"], prompt, question, chosen, rejected, prompt_tokens, chosen_tokens, rejected_tokens)
        )
    sampled = [example for example in examples if example.pair_id not in set_aside]
    if len(sampled) < resolved.prompts_per_step:
        raise PipelineError(
            f"{len(sampled)} of {len(pairs)} pairs have a prompt of at most "
            f"{resolved.max_prompt_tokens} tokens and a correction of at most {resolved.max_completion_tokens}, fewer "
            f"than the {resolved.prompts_per_step} of one step: raise GRPO_TRAINING__MAX_COMPLETION_TOKENS or "
            "GRPO_TRAINING__MAX_PROMPT_TOKENS, or wait for more feedback."
        )
    return TrainingData(examples, sampled, set_aside, file_digest(dataset_dir / TRAIN_FILE))


def _answer_tokens(tokenizer: PreTrainedTokenizerBase, answer: str) -> list[int]:
    return [*tokenizer([answer], add_special_tokens=False)["input_ids"][0], tokenizer.eos_token_id]


def _longest_correction(resolved: ResolvedTraining) -> int:
    return LONGEST_CORRECTION * resolved.max_completion_tokens


def warm_start_examples(data: TrainingData, resolved: ResolvedTraining, steps: int) -> list[Example]:
    """The pairs that the warm start reads, every step's in order."""
    longest = _longest_correction(resolved)

    def tokens(example: Example) -> int:
        return len(example.prompt_tokens) + min(longest, len(example.chosen_tokens))

    return schedule(data.examples, resolved.pairs_per_step, steps, resolved.seed, tokens)


def warm_start_dataset(
    data: TrainingData, resolved: ResolvedTraining, steps: int, rehearsed: Sequence[Rehearsed] = ()
) -> Dataset:
    """Prompt and answer as tokens, of which only the answer's are learned; every step's rows in order, pairs first."""
    longest = _longest_correction(resolved)
    own, general = resolved.pairs_per_step, resolved.rehearsed_per_step
    corrections = [
        learned(example.prompt_tokens, example.chosen_tokens[:longest])
        for example in warm_start_examples(data, resolved, steps)
    ]
    mixed_in = (
        schedule(rehearsed, general, steps, resolved.seed, lambda item: len(item.answer_tokens)) if general else []
    )
    repeated = [learned(item.prompt_tokens, item.answer_tokens) for item in mixed_in]
    rows = []
    for step in range(steps):
        rows += corrections[step * own : (step + 1) * own] + repeated[step * general : (step + 1) * general]
    return Dataset.from_list(rows)


def learned(prompt: Sequence[int], answer: Sequence[int]) -> dict[str, list[int]]:
    """Prompt and answer as one row of token ids, of which only the answer's are labelled."""
    return {"input_ids": [*prompt, *answer], "labels": [IGNORED] * len(prompt) + [*answer]}


def dpo_dataset(data: TrainingData, resolved: ResolvedTraining, steps: int) -> Dataset:
    """Prompt and both answers as tokens, cut as the warm start cuts corrections; every step's rows in order."""
    longest = _longest_correction(resolved)

    def tokens(example: Example) -> int:
        answers = (example.chosen_tokens, example.rejected_tokens)
        return len(example.prompt_tokens) + max(min(longest, len(answer)) for answer in answers)

    return Dataset.from_list(
        [
            {
                "prompt_ids": list(example.prompt_tokens),
                "chosen_ids": list(example.chosen_tokens[:longest]),
                "rejected_ids": list(example.rejected_tokens[:longest]),
            }
            for example in schedule(data.examples, resolved.warm_start_batch, steps, resolved.seed, tokens)
        ]
    )


def grpo_dataset(data: TrainingData, resolved: ResolvedTraining, steps: int, read: Collection[str] = ()) -> Dataset:
    """Prompts to sample answers for, with the columns that the rewards compare them to; every step's in order.

    Those of the pairs whose ids were `read` before are left out where the rest suffices for all steps.
    """
    unread = [example for example in data.sampled if example.pair_id not in read]
    practised = unread if len(unread) >= resolved.prompts_per_step * steps else data.sampled
    examples = schedule(
        practised, resolved.prompts_per_step, steps, resolved.seed, lambda example: len(example.prompt_tokens)
    )
    return Dataset.from_list(
        [
            {
                "prompt": example.prompt,
                "pair_id": example.pair_id,
                "question": example.question,
                "chosen": example.chosen,
                "rejected": example.rejected,
                "chosen_tokens": list(example.chosen_tokens),
            }
            for example in examples
        ]
    )


def pair_table(data: TrainingData) -> pl.DataFrame:
    """Which pairs this policy was trained on: pair_id, whether it was used, and what stood against it."""
    used = pl.DataFrame(
        {"pair_id": [example.pair_id for example in data.examples], "used": True},
        schema={"pair_id": pl.String, "used": pl.Boolean},
    )
    unused = pl.DataFrame({"pair_id": data.left_out, "used": False}, schema=used.schema)
    reasons = pl.DataFrame(
        {"pair_id": list(data.set_aside), "reason": list(data.set_aside.values())},
        schema={"pair_id": pl.String, "reason": pl.String},
    )
    return pl.concat([used, unused]).join(reasons, on="pair_id", how="left").sort("pair_id")
