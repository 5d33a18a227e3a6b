"""Has models answer prompts in a process of its own: `python -m grpo_pipeline.evaluation.answer --config run.json`."""

from __future__ import annotations

import sys

import polars as pl

from grpo_pipeline.artifacts import file_digest
from grpo_pipeline.evaluation.answer_config import AnswerRun, Respondent, answers_file, read_answer_run
from grpo_pipeline.training.process import main_from_file
from grpo_pipeline.training.profiles import detect_hardware
from grpo_pipeline.training.watching import Watcher

# Every model begins with the same random numbers.
SEED = 0
SCHEMA = {"id": pl.String, "answer": pl.String, "cut": pl.Boolean}


def main() -> int:
    """Answer as a config file says and return the exit code."""
    return main_from_file("grpo_pipeline.evaluation.answer", __doc__, read_answer_run, _answer)


def _answer(run: AnswerRun, watcher: Watcher) -> None:
    watcher.note("Loading torch.")
    from grpo_pipeline.training.determinism import quiet_libraries

    quiet_libraries()
    run.output_dir.mkdir(parents=True, exist_ok=True)
    hardware = detect_hardware()
    dtype = "bfloat16" if hardware.gpus or hardware.cpu_bf16 else "float32"
    for respondent in run.respondents:
        file = answers_file(run.output_dir, respondent.name)
        mark = file.with_suffix(".key")
        key = _key(run, respondent, dtype)
        if file.exists() and mark.exists() and mark.read_text(encoding="utf-8") == key:
            watcher.note(f"{respondent.name} has answered already.")
            continue
        _answer_all(run, respondent, dtype, watcher).write_parquet(file)
        mark.write_text(key, encoding="utf-8")


def _key(run: AnswerRun, respondent: Respondent, dtype: str) -> str:
    adapter = respondent.adapter / "adapter_model.safetensors" if respondent.adapter else None
    made_from = (file_digest(run.questions), respondent.base_model, file_digest(adapter) if adapter else "", dtype)
    return " ".join((*made_from, str(run.batch_size), str(run.temperature)))


def _answer_all(run: AnswerRun, respondent: Respondent, dtype: str, watcher: Watcher) -> pl.DataFrame:
    import torch

    from grpo_pipeline.evaluation.answering import Question, answered
    from grpo_pipeline.training.base_model import locate_base_model
    from grpo_pipeline.training.fast_writing import make_fast
    from grpo_pipeline.training.loading import load_policy, load_tokenizer, merged, render_prompt

    base = locate_base_model(respondent.base_model, run.home)
    tokenizer = load_tokenizer(base)
    model = merged(load_policy(base, respondent.adapter), getattr(torch, dtype))
    make_fast(model)
    rows = pl.read_parquet(run.questions).iter_rows(named=True)
    questions = [
        Question(
            row["id"],
            tuple(tokenizer(render_prompt(tokenizer, row["prompt"], row["tools"]))["input_ids"]),
            row["max_new_tokens"],
        )
        for row in rows
    ]
    answers = []
    torch.manual_seed(SEED)
    for batch in answered(model, tokenizer, questions, run.batch_size, run.temperature):
        answers += [(answer.id, answer.text, answer.cut) for answer in batch]
        watcher.step(f"{respondent.name} answers, question", len(answers), len(questions))
    return pl.DataFrame(answers, schema=SCHEMA, orient="row").sort("id")


if __name__ == "__main__":
    sys.exit(main())
