"""Answers of one model to one prompt, in a process of its own: JSON on standard input, JSON on standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from grpo_pipeline.conversation import Message
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.config import resolve_sizes
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.training.process import EXIT_ERROR, die_with_parent
from grpo_pipeline.training.profiles import detect_hardware


class Asked(BaseModel):
    """What is asked of which model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    base_model: str
    adapter: Path | None
    prompt: tuple[Message, ...] = Field(min_length=1)
    tools: str | None
    answers: int = Field(ge=1)
    temperature: float = Field(gt=0)
    seed: int
    settings: EvaluationSettings


class Answered(BaseModel):
    """The answers, and which of them were cut at the longest length allowed."""

    texts: list[str]
    cut: list[bool]


def answer(asked: Asked) -> Answered:
    """Sample so many answers to a prompt.

    Raises:
        PipelineError: the model or its adapter cannot be loaded, or the prompt is too long for it.
    """
    import torch

    from grpo_pipeline.evaluation.sampling import sample_answers
    from grpo_pipeline.training.base_model import locate_base_model
    from grpo_pipeline.training.loading import end_tokens, load_policy, load_tokenizer, render_prompt
    from grpo_pipeline.training.prefill import prefill

    sizes = resolve_sizes(asked.settings, detect_hardware())
    base = locate_base_model(asked.base_model, asked.home)
    tokenizer = load_tokenizer(base)
    prompt = tokenizer(render_prompt(tokenizer, asked.prompt, asked.tools))["input_ids"]
    if len(prompt) > sizes.max_prompt_tokens:
        raise PipelineError(
            f"The prompt has {len(prompt)} tokens, more than {sizes.max_prompt_tokens}: shorten it, or raise "
            "GRPO_EVALUATION__MAX_PROMPT_TOKENS."
        )
    model = load_policy(base, asked.adapter, dtype=sizes.dtype)
    with torch.inference_mode():
        state = prefill(model, [prompt])
        state.repeat(asked.answers)
        sampled = sample_answers(
            model,
            state,
            end_tokens=end_tokens(model, tokenizer),
            max_new_tokens=sizes.max_new_tokens,
            temperature=asked.temperature,
            seed=asked.seed,
        )
    texts = tokenizer.batch_decode([list(item.ids) for item in sampled], skip_special_tokens=True)
    return Answered(texts=texts, cut=[item.truncated for item in sampled])


def main() -> int:
    """Answer what is asked on standard input and return the exit code; an error is one sentence on standard error."""
    die_with_parent()
    from grpo_pipeline.training.determinism import quiet_libraries

    quiet_libraries()
    # What libraries print must not come between the answers.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        try:
            answered = answer(Asked.model_validate_json(sys.stdin.read()))
        except PipelineError as error:
            sys.stderr.write(f"Error: {error}\n")
            return EXIT_ERROR
        out.write(answered.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
