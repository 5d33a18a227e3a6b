"""Tasks that a tiny model can learn from a few dozen pairs, and real runs on them.

Each prompt names a colour among digits, and the right answer depends on it; the rejected one is that of the other
colour. The warm start teaches the letters; which answer belongs to which prompt is left for GRPO to learn.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.evaluation.config import EvaluationRun
from grpo_pipeline.evaluation.run import evaluate
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.training.profiles import TINY_QWEN3
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.watching import LineWatcher
from grpo_pipeline.verdict import Verdict
from grpo_pipeline_tests.training.datasets import pair, write_dataset
from grpo_pipeline_tests.training.runs import tiny_config

ANSWERS = {"red": "warm day.", "blue": "cold sea."}
OTHER = {"red": "blue", "blue": "red"}
CONTRIBUTORS = 24
# Enough steps to speak, and enough groups to learn from; some 25 seconds on one core.
SETTINGS: dict[str, Any] = {
    "warm_start_epochs": 50,
    "warm_start_batch": 8,
    "warm_start_steps": 30,
    "epochs": 50,
    "steps": 40,
    "prompts_per_step": 8,
    "num_generations": 8,
    "micro_batch": 64,
    "max_completion_tokens": 16,
    "save_every": 10,
    "preflight": False,
}


def colour_pairs(count: int, seed: int, first: int = 0) -> list[dict[str, Any]]:
    """Pairs of both colours in turn, numbered from `first`; other seeds ask other prompts."""
    source = random.Random(seed)
    found = []
    for index in range(count):
        colour = ("blue", "red")[index % 2]
        prompt = f"{source.randrange(100, 1000)} {colour}?"
        made = pair(first + index, prompt, ANSWERS[colour], ANSWERS[OTHER[colour]])
        found.append({**made, "contributor": f"contributor-{index % CONTRIBUTORS}"})
    return found


def run_config(folder: Path, home: Path, pairs: list[dict[str, Any]], **changes: Any) -> RunConfig:  # noqa: ANN401
    """A run of the tiny model on these pairs, into `folder`/policy."""
    dataset = write_dataset(folder / "dataset", pairs)
    return tiny_config(dataset, folder / "policy", home, **{**SETTINGS, **changes})


def judge(
    folder: Path, home: Path, candidate: Path, incumbent: Path | None = None, max_new_tokens: int = 16
) -> Verdict:
    """Evaluate a candidate on pairs of the same task that no run has seen; files land in `folder`/evaluation."""
    held_out = write_dataset(folder / "held_out", colour_pairs(72, seed=2, first=10_000)) / "train.parquet"
    run = EvaluationRun(
        held_out=held_out,
        output_dir=folder / "evaluation",
        home=home,
        base_model=TINY_QWEN3,
        candidate_adapter=candidate,
        incumbent_adapter=incumbent,
        # A base model of random weights is nothing to stay near to, and passes no regression suite.
        settings=EvaluationSettings(
            max_new_tokens=max_new_tokens, answers_per_prompt=4, temperature=1.0, kl_answers=0, regression_items=0
        ),
    )
    return evaluate(run, LineWatcher([]))


def mean_score(folder: Path, model: str, metric: str) -> float:
    """The mean of a metric in the evaluation that `judge` left in a folder."""
    scores = pl.read_parquet(folder / "evaluation" / "scores.parquet")
    return float(scores.filter(pl.col("model") == model, pl.col("metric") == metric)["value"].mean())
