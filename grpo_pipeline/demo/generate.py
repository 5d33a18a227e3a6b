"""Makes the sample feedback anew: `python -m grpo_pipeline.demo.generate`.

What is real: every `response` of an ordinary row is an answer that SmolLM2-135M-Instruct really gave, sampled at
temperature 0.4 after the system message `THIN` (without the tools, so that it guesses where it should call), at most
40 tokens, cut after its last whole sentence. An answer that looks as if it held somebody's address, link or number is
drawn again; nothing else about the answers is edited or selected. What they say is wrong more often than not.

What is made up: the questions, the companies and their figures, the corrections (templates in `texts.py`), the
answers that got a thumbs-up beside a thumbs-down on the same question, who gave feedback when, and the faults
(`plan.py`, `faults.py`).

The same seed gives the same questions and corrections everywhere. The sampled answers are the same again only with
the same versions of torch and transformers on the same kind of processor, because rounding differs between them.
Sampling about 700 answers takes some minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from grpo_pipeline.config import load_settings
from grpo_pipeline.conversation import parse_prompt
from grpo_pipeline.demo.plan import SEED, plan
from grpo_pipeline.demo.sample import SAMPLE_FILE, asked, payloads, sampled_prompts, write_sample
from grpo_pipeline.evaluation.sampling import sample_answers
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.loading import load_policy, load_tokenizer, render_prompt
from grpo_pipeline.training.prefill import prefill
from grpo_pipeline.training.profiles import PACKAGED_SMOLLM2

THIN = "You are a company research assistant. Answer in one or two short sentences."
BATCH = 32
MOST_TOKENS = 40
TEMPERATURE = 0.4
ROUNDS = 12
CONTACT = re.compile(r"\S@\S+\.\w|https?:|www\.|\+?\d[\d -]{7,}\d")


class Sampler:
    """The base model, asked in batches."""

    def __init__(self, home: Path) -> None:
        base = locate_base_model(PACKAGED_SMOLLM2, home)
        self.tokenizer = load_tokenizer(base)
        self.model = load_policy(base, dtype="bfloat16").requires_grad_(False)

    def answers(self, prompts: list[str], seed: int) -> Iterator[tuple[str, str]]:
        """Prompts and what the model answered, those of like length together."""
        system = {"role": "system", "content": THIN}
        texts = {prompt: render_prompt(self.tokenizer, [system, *parse_prompt(prompt)]) for prompt in prompts}
        ordered = sorted(prompts, key=lambda prompt: (len(texts[prompt]), prompt))
        for start in track(range(0, len(ordered), BATCH), description="Sampling answers"):
            batch = ordered[start : start + BATCH]
            state = prefill(self.model, self.tokenizer([texts[prompt] for prompt in batch]).input_ids)
            drawn = sample_answers(
                self.model,
                state,
                end_tokens=[self.tokenizer.eos_token_id],
                max_new_tokens=MOST_TOKENS,
                temperature=TEMPERATURE,
                seed=seed + start,
            )
            for prompt, answer in zip(batch, drawn, strict=True):
                yield prompt, whole_sentences(self.tokenizer.decode(answer.ids))


def whole_sentences(answer: str) -> str:
    """An answer up to the end of its last sentence; all of it where no sentence ends."""
    text = answer.strip()
    end = re.match(r".*[.!?](?=\s|$)", text, re.DOTALL)
    return end.group() if end else text


def sampled_answers(prompts: list[str], home: Path, seed: int) -> dict[str, str]:
    """What the base model answers, by what was asked."""
    sampler = Sampler(home)
    answers: dict[str, str] = {}
    for number in range(ROUNDS):
        waiting = [prompt for prompt in prompts if CONTACT.search(answers.get(asked(prompt), "@.www."))]
        answers |= {asked(prompt): answer for prompt, answer in sampler.answers(waiting, seed + number)}
    return answers


def main() -> None:
    """Write the sample file from its seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--target", type=Path, default=SAMPLE_FILE)
    arguments = parser.parse_args()
    rows = plan(arguments.seed)
    answers = sampled_answers(sampled_prompts(rows), load_settings().home, arguments.seed)
    write_sample(payloads(rows, answers), arguments.target)


if __name__ == "__main__":
    main()
