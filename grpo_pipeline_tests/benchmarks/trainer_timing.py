"""The trainers that are compared, and the clock that they run under."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from grpo_pipeline.training.fast_grpo import FastGRPOTrainer
from grpo_pipeline.training.gradients import average_gradients
from grpo_pipeline.training.profiles import detect_hardware

PHASES = ("sync", "generate", "reward", "log-prob", "train", "optimizer")
RANK = 16


@dataclass(frozen=True)
class Shape:
    """What one step works on: prompts, answers to each, and tokens of both."""

    prompts: int
    group: int
    prompt_tokens: int
    answer_tokens: int

    @property
    def answers(self) -> int:
        return self.prompts * self.group


@dataclass
class Clock(TrainerCallback):
    """Seconds of a step and of its phases; what is measured inside another phase is not counted there."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _open: list[float] = field(default_factory=list)
    _step: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _began: float = 0.0

    def on_step_begin(self, *args: object, **kwargs: object) -> None:
        self._step.clear()
        self._began = now()

    def on_step_end(self, *args: object, **kwargs: object) -> None:
        whole = now() - self._began
        self.seconds["step"].append(whole)
        self._step["optimizer"] = whole - sum(self._step.values())
        for phase in PHASES:
            self.seconds[phase].append(self._step[phase])

    def watch(self, owner: object, method: str, phase: str, *, without_gradient: bool = False) -> None:
        """Count the time of a method as a phase's; only that of calls without gradient, where that is said."""
        work: Callable[..., object] = getattr(owner, method)

        def timed(*args: object, **kwargs: object) -> object:
            if without_gradient and torch.is_grad_enabled():
                return work(*args, **kwargs)
            began = now()
            self._open.append(0.0)
            try:
                return work(*args, **kwargs)
            finally:
                spent = now() - began
                self._step[phase] += spent - self._open.pop()
                if self._open:
                    self._open[-1] += spent

        setattr(owner, method, timed)


def best_precision() -> torch.dtype:
    """What this machine computes fastest in: bfloat16, or float32 on a CPU without products for it."""
    hardware = detect_hardware()
    return torch.bfloat16 if hardware.gpus or hardware.cpu_bf16 else torch.float32


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def spread(completions: list[str], **_: object) -> list[float]:
    """A reward that hardly ever gives two answers the same."""
    return [len(set(text)) + len(text) / 1000 for text in completions]


def random_prompts(shape: Shape, vocabulary: int) -> dict[str, list[int]]:
    generator = torch.Generator().manual_seed(0)
    size = (shape.prompts, shape.prompt_tokens)
    ids = torch.randint(vocabulary // 10, vocabulary // 2, size, generator=generator).tolist()
    return {str(number): prompt for number, prompt in enumerate(ids)}


def make_trainer(
    kind: str, folder: Path, shape: Shape, clock: Clock, *, dtype: torch.dtype | None = None
) -> GRPOTrainer:
    """One of the three, ready to train; dtype overrides the precision of its weights."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    usual = dtype or best_precision()
    # A model is loaded in float32 on a CPU, and TRL computes in bfloat16 nevertheless. Where a CPU has to imitate its
    # products a step took ten minutes: there the script has it turned off.
    precision = torch.float32 if kind == "defaults" and not torch.cuda.is_available() else usual
    at_once = shape.answers if torch.cuda.is_available() else min(8, shape.answers)
    options: dict[str, Any] = {
        "defaults": {"per_device_train_batch_size": 8, "gradient_accumulation_steps": shape.answers // 8},
        "best": {
            "per_device_train_batch_size": at_once,
            "gradient_accumulation_steps": shape.answers // at_once,
            "gradient_checkpointing": False,
        },
        "ours": {"per_device_train_batch_size": shape.answers, "gradient_checkpointing": False},
    }[kind]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=precision)
    adapter = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    policy: PeftModel = get_peft_model(model, adapter)
    trainer = (FastGRPOTrainer if kind == "ours" else GRPOTrainer)(
        model=policy,
        reward_funcs=spread,
        args=GRPOConfig(
            output_dir=str(folder.parent / "out"),
            use_cpu=not torch.cuda.is_available(),
            bf16=usual == torch.bfloat16,
            num_generations=shape.group,
            max_completion_length=shape.answer_tokens,
            generation_kwargs={"min_new_tokens": shape.answer_tokens},
            loss_type="dr_grpo",
            max_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            **options,
        ),
        train_dataset=Dataset.from_list([{"prompt": str(number)} for number in range(shape.prompts)]),
        processing_class=tokenizer,
        callbacks=[clock],
        **({"answers_per_pass": shape.answers} if kind == "ours" else {}),
    )
    trainer.remove_callback(PrinterCallback)
    ids = random_prompts(shape, len(tokenizer))
    trainer._tokenize_prompts = lambda prompts: ([ids[prompt] for prompt in prompts], None, {})
    clock.watch(trainer, "training_step", "train")
    clock.watch(trainer, "_generate_single_turn", "generate")
    clock.watch(trainer, "_calculate_rewards", "reward")
    clock.watch(trainer, "_get_per_token_logps_and_entropies", "log-prob", without_gradient=True)
    if kind == "ours":
        clock.watch(trainer, "merged", "sync")
    return trainer


def assert_equal_gradients(folder: Path, shape: Shape) -> None:
    """Loss and gradients of one frozen batch in float32, against TRL's, on the model that is measured."""
    small = Shape(1, 4, shape.prompt_tokens, shape.answer_tokens)
    found = {}
    for kind in ("best", "ours"):
        trainer = make_trainer(kind, folder, small, Clock(), dtype=torch.float32)
        generator = torch.Generator().manual_seed(1)
        prompts = torch.randint(100, 5000, (1, small.prompt_tokens), generator=generator).expand(small.answers, -1)
        answers = torch.randint(100, 5000, (small.answers, small.answer_tokens), generator=generator)
        lengths = torch.tensor([small.answer_tokens, small.answer_tokens // 2, 7, 1]).unsqueeze(1)
        mask = (torch.arange(small.answer_tokens) < lengths).long()
        device = trainer.accelerator.device
        batch = {
            "prompt_ids": prompts.to(device),
            "prompt_mask": torch.ones_like(prompts).to(device),
            "completion_ids": answers.to(device),
            "completion_mask": mask.to(device),
            "advantages": torch.tensor([1.0, -0.5, 0.0, 0.7], device=device),
            "num_items_in_batch": mask.sum().to(device),
        }
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = 1
        if isinstance(trainer, FastGRPOTrainer):
            loss = trainer._accumulate(trainer.model, batch)
            average_gradients(trainer.accelerator, trainer.model)
        else:
            loss = trainer.compute_loss(trainer.model, batch)
            loss.backward()
        grads = [parameter.grad.flatten() for parameter in trainer.model.parameters() if parameter.grad is not None]
        found[kind] = float(loss.detach()), torch.cat(grads).float().cpu()
    (plain_loss, plain), (loss, grad) = found["best"], found["ours"]
    distance = float((grad - plain).norm() / plain.norm())
    print(f"  frozen batch in float32: loss {loss:.6f} (TRL {plain_loss:.6f}), gradients {distance:.1e} apart")
    if abs(loss - plain_loss) > 1e-5 or distance > 1e-4:
        raise SystemExit("The trainers do not compute the same: nothing else is worth measuring.")
