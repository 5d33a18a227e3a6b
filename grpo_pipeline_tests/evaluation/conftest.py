"""A tiny base model, held-out pairs that need letters, and adapters that did and did not learn them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import LoraConfig, get_peft_model

from grpo_pipeline.evaluation.config import EvaluationRun
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.training.base_model import BaseModel, locate_base_model
from grpo_pipeline.training.loading import load_policy, load_tokenizer, render_prompt
from grpo_pipeline.training.profiles import TINY_QWEN3

WANTED, UNWANTED = "acegikmoqsuwy", "bdfhjlnprtvxz"
MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
CALL = '<tool_call>\n{"name": "lookup", "arguments": {"company": "acme"}}\n</tool_call>'


def words(letters: str, source: random.Random, count: int = 4) -> str:
    return " ".join("".join(source.choices(letters, k=5)) for _ in range(count))


def message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def letter_pairs(count: int, seed: int, contributors: int = 12) -> pl.DataFrame:
    """Pairs whose corrections use every second letter of the alphabet; every fifth calls a tool as well."""
    source = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for index in range(count):
        chosen = words(WANTED, source) + (CALL if index % 5 == 0 else "")
        rows.append(
            {
                "id": f"pair-{seed}-{index:03d}",
                "week": f"2026-10-{5 + 7 * (index % 3):02d}",
                "contributor": f"contributor-{index % contributors}",
                "prompt": message("user", f"Describe {words(WANTED + UNWANTED, source, 1 + index % 4)}."),
                "chosen": message("assistant", chosen),
                "rejected": message("assistant", words(UNWANTED, source)),
                "tools": None,
            }
        )
    types = {"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES}
    return pl.DataFrame(rows, schema_overrides={**types, "tools": pl.String})


@pytest.fixture(scope="session")
def base(home: Path) -> BaseModel:
    torch.set_num_threads(1)
    return locate_base_model(TINY_QWEN3, home)


def make_adapter(base: BaseModel, folder: Path, steps: int) -> Path:
    """A LoRA adapter after so many steps of learning from corrections; untouched after none."""
    torch.manual_seed(0)
    tokenizer = load_tokenizer(base)
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(load_policy(base), lora)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-2)
    for row in letter_pairs(steps, seed=1).iter_rows(named=True):
        prompt = tokenizer(render_prompt(tokenizer, row["prompt"]))["input_ids"]
        answer = tokenizer(row["chosen"][0]["content"] + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
        labels = torch.tensor([[-100] * len(prompt) + answer])
        model(input_ids=torch.tensor([prompt + answer]), labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def learned(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(base, tmp_path_factory.mktemp("adapter") / "learned", steps=40)


@pytest.fixture(scope="session")
def untouched(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(base, tmp_path_factory.mktemp("adapter") / "untouched", steps=0)


@pytest.fixture(scope="session")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "held_out.parquet"
    letter_pairs(24, seed=2).write_parquet(path)
    return path


@pytest.fixture
def run(home: Path, held_out: Path, learned: Path, base: BaseModel, tmp_path: Path) -> EvaluationRun:
    # A random base model is near the uniform distribution, far from anything that was learned.
    settings = EvaluationSettings(
        max_new_tokens=12,
        answers_per_prompt=2,
        batch_size=9,
        resamples=500,
        kl_per_token=6.0,
        regression_items=0,
    )
    return EvaluationRun(
        held_out=held_out,
        output_dir=tmp_path / "evaluation",
        home=home,
        base_model=TINY_QWEN3,
        candidate_adapter=learned,
        settings=settings,
    )
