"""Warm-start steps on an agent's corrections, against TRL's own SFT step, in turns.

Both read the same examples with the same adapter, without gradient checkpointing and in the precision that this machine
computes fastest in; TRL's pads a step's examples to the longest and reads each prompt whole. Two kinds of step:
requests to one agent, whose prompts hold the same three tools, and requests each with tools of its own.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

# As in the trainer's process; both are good for both.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from grpo_pipeline.tool_calling.scenarios import make_scenarios
from grpo_pipeline.training.base_model import BaseModel, locate_base_model
from grpo_pipeline.training.data import IGNORED, learned
from grpo_pipeline.training.determinism import quiet_libraries
from grpo_pipeline.training.loading import load_tokenizer, render_prompt
from grpo_pipeline.training.policy import Policy, fresh_policy
from grpo_pipeline.training.profiles import PACKAGED_SMOLLM2, detect_hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.warm_start import LeftPadding, WarmStartTrainer
from grpo_pipeline_tests.benchmarks.trainer_timing import best_precision

EXAMPLES = 8
TOOLS = 3
REPEATS = 3
ONE_AGENT, TOOLS_EACH = "requests to one agent", "requests with tools of their own"
BARS = {ONE_AGENT: 3.0, TOOLS_EACH: 1.2}


def rows_of(kind: str, base: BaseModel) -> list[dict[str, list[int]]]:
    """Prompt and answer of a step's examples in token ids, the answers' labelled."""
    scenarios = [item for item in make_scenarios(200, 0) if len(item.tools) == TOOLS and item.calls][:EXAMPLES]
    tokenizer, rows = load_tokenizer(base), []
    for item in scenarios:
        tools = (scenarios[0] if kind == ONE_AGENT else item).schemas
        text = render_prompt(tokenizer, [{"role": "user", "content": item.request}], tools)
        prompt, answer = tokenizer([text, item.answer], add_special_tokens=False)["input_ids"]
        rows.append(learned(prompt, answer))
    return rows


def make_trainer(kind: type[SFTTrainer], base: BaseModel, folder: Path) -> SFTTrainer:
    """A trainer with a fresh adapter."""
    resolved = resolve(TrainingSettings(), detect_hardware())
    return kind(
        model=fresh_policy(Policy(base, resolved)),
        args=SFTConfig(
            output_dir=str(folder),
            use_cpu=not torch.cuda.is_available(),
            bf16=best_precision() == torch.bfloat16,
            gradient_checkpointing=False,
            max_length=None,
            report_to=[],
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list([{"input_ids": [1], "labels": [1]}]),
        processing_class=load_tokenizer(base),
    )


def seconds(trainer: SFTTrainer, rows: list[dict[str, list[int]]]) -> float:
    """Loss and gradients of one step."""
    batch = {name: part.to(trainer.accelerator.device) for name, part in LeftPadding(0)(rows).items()}
    answers = (batch["labels"] != IGNORED).sum()
    trainer.model.train()
    began = time.perf_counter()
    with trainer.compute_loss_context_manager():
        loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=answers)
    loss.backward()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    spent = time.perf_counter() - began
    trainer.model.zero_grad()
    return spent


def main() -> int:
    """Measure, and say whether the bars are reached."""
    quiet_libraries()
    warnings.filterwarnings("ignore")
    met = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = locate_base_model(PACKAGED_SMOLLM2, Path(os.environ.get("GRPO_HOME", folder)))
        trainers = {"TRL": make_trainer(SFTTrainer, base, folder), "ours": make_trainer(WarmStartTrainer, base, folder)}
        for what, bar in BARS.items():
            rows = rows_of(what, base)
            turns = [{name: seconds(trainer, rows) for name, trainer in trainers.items()} for _ in range(1 + REPEATS)]
            # The first turn pays for what is only done once.
            trl, ours = (statistics.median(turn[name] for turn in turns[1:]) for name in trainers)
            reached = trl / ours >= bar
            met &= reached
            print(
                f"  {EXAMPLES} {what}: TRL {trl:.2f} s, ours {ours:.2f} s, {trl / ours:.2f} times "
                f"(bar {bar}: {'reached' if reached else 'MISSED'})",
                flush=True,
            )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
