"""The phases of a training run, each of which can be taken up again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from accelerate import PartialState  # type: ignore[import-untyped]
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer

from grpo_pipeline.artifacts import write_atomically
from grpo_pipeline.training.batches import process_count
from grpo_pipeline.training.budget import Budget
from grpo_pipeline.training.checkpoints import last_whole_checkpoint, step_of
from grpo_pipeline.training.grpo import train_grpo
from grpo_pipeline.training.loading import load_policy
from grpo_pipeline.training.manifest import Run
from grpo_pipeline.training.methods.budget import grpo_budget
from grpo_pipeline.training.methods.catalog import USE_WARM_START, Candidate
from grpo_pipeline.training.methods.dpo import train_dpo
from grpo_pipeline.training.policy import Policy, copy_adapter, fresh_policy, save_adapter
from grpo_pipeline.training.preflight import Start, preflight_once
from grpo_pipeline.training.progress import METRICS_FILE, Progress, keep_metrics_until, read_metrics
from grpo_pipeline.training.samples import COMPLETIONS_FOLDER
from grpo_pipeline.training.warm_start import PHASE as WARM_START
from grpo_pipeline.training.warm_start import warm_start
from grpo_pipeline.training.watching import Watcher

CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"


@dataclass(frozen=True)
class Attempt:
    """One process group's go at a run."""

    run: Run
    tokenizer: PreTrainedTokenizerBase
    output: Path
    budget: Budget
    watcher: Watcher


def phase_folder(output: Path, phase: str) -> Path:
    """Where a phase keeps its checkpoints."""
    return output / CHECKPOINTS / phase.lower().replace(" ", "_")


def _take_up(output: Path, phase: str, metrics: Path) -> Path | None:
    """The checkpoint that a phase goes on from, everything written after it being forgotten."""
    folder = phase_folder(output, phase)
    if PartialState().is_main_process:
        metrics.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = last_whole_checkpoint(folder)
        keep_metrics_until(metrics, phase, step_of(checkpoint))
    PartialState().wait_for_everyone()
    return last_whole_checkpoint(folder)


def _save(trainer: Trainer, run: Run, folder: Path) -> None:
    if PartialState().is_main_process:
        save_adapter(trainer.accelerator.unwrap_model(trainer.model), run.base, folder)
    PartialState().wait_for_everyone()


def train_warm_start(attempt: Attempt, candidate: Candidate) -> None:
    """The phase that SFT is and that GRPO goes on from; its metrics are the candidate's that it is trained for.

    Raises:
        Stopped: a cap is reached.
    """
    run, output = attempt.run, attempt.output
    folder = phase_folder(output, WARM_START)
    if (folder / ADAPTER).exists():
        return
    metrics = candidate.folder / METRICS_FILE
    checkpoint = _take_up(output, WARM_START, metrics)
    callbacks = [Progress(WARM_START, metrics, attempt.watcher), attempt.budget]
    policy = Policy(run.base, run.resolved)
    trained = warm_start(policy, run.data, attempt.tokenizer, run.resolved, folder, checkpoint, callbacks)
    attempt.budget.end_phase(trained.state)
    _save(trained, run, folder / ADAPTER)


def train_candidate(attempt: Attempt, candidate: Candidate) -> None:
    """One method's own phase; a no-go of its pre-flight leaves GRPO out.

    Raises:
        Stopped: a cap is reached, or would be.
    """
    run, output = attempt.run, attempt.output
    adapter, metrics = candidate.folder / ADAPTER, candidate.folder / METRICS_FILE
    if adapter.exists():
        return
    if candidate.method == "sft":
        if PartialState().is_main_process:
            _take_over_warm_start(phase_folder(output, WARM_START), output / METRICS_FILE, candidate)
        PartialState().wait_for_everyone()
        return
    attempt.budget.begin_phase()
    folder = phase_folder(output, candidate.phase)
    checkpoint = _take_up(output, candidate.phase, metrics)
    callbacks = [Progress(candidate.phase, metrics, attempt.watcher), attempt.budget]
    if candidate.method == "dpo":
        policy = Policy(run.base, run.resolved)
        trained = train_dpo(policy, run.data, attempt.tokenizer, folder, checkpoint, callbacks)
    else:
        resolved, start = grpo_budget(candidate.method, run.data, run.resolved), _start(candidate, run, output)
        if run.resolved.preflight:
            begun = Start(Policy(run.base, resolved), start, process_count(), run.model_rewards)
            preflight = preflight_once(begun, folder, run.data, attempt.tokenizer, attempt.watcher)
            if not preflight.go:
                _leave_as_it_is(candidate, start, adapter)
                return
            attempt.budget.begin_phase(preflight.device_hours * (1 - step_of(checkpoint) / preflight.steps))
        trained = train_grpo(
            _starting_policy(start, run),
            run.data,
            attempt.tokenizer,
            resolved,
            folder,
            candidate.folder / COMPLETIONS_FOLDER,
            checkpoint,
            callbacks,
            run.model_rewards,
        )
    attempt.budget.end_phase(trained.state)
    _save(trained, run, adapter)


def _leave_as_it_is(candidate: Candidate, start: Path | None, adapter: Path) -> None:
    """After a no-go, the warm-started policy is the candidate; where GRPO starts from elsewhere there is none."""
    if candidate.method in USE_WARM_START and start and PartialState().is_main_process:
        copy_adapter(start, adapter)
    PartialState().wait_for_everyone()


def _take_over_warm_start(phase: Path, shared: Path, candidate: Candidate) -> None:
    metrics = candidate.folder / METRICS_FILE
    if metrics != shared:
        candidate.folder.mkdir(parents=True, exist_ok=True)
        if not metrics.exists():
            lines = [json.dumps(row) for row in read_metrics(shared) if row["phase"] == WARM_START]
            write_atomically(metrics, "".join(f"{line}\n" for line in lines))
    copy_adapter(phase / ADAPTER, candidate.folder / ADAPTER)


def _start(candidate: Candidate, run: Run, output: Path) -> Path | None:
    """The adapter that GRPO starts from; None for a fresh one."""
    if candidate.method == "grpo":
        return None
    return run.champion if candidate.method == "from_champion" else phase_folder(output, WARM_START) / ADAPTER


def _starting_policy(start: Path | None, run: Run) -> PeftModel:
    if start is None:
        return fresh_policy(Policy(run.base, run.resolved))
    # Read back from disk in every case, so that a run that was taken up between the phases is no other run.
    return load_policy(run.base, start, dtype=run.resolved.dtype, trainable=True)
