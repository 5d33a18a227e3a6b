"""One training run from a dataset to a policy, in steps that can each be taken up again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState  # type: ignore[import-untyped]
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer

from grpo_pipeline.artifacts import MANIFEST, write_atomically
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.gates.preflight import Preflight
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.batches import process_count
from grpo_pipeline.training.budget import Budget
from grpo_pipeline.training.checkpoints import last_whole_checkpoint, open_checkpoints, step_of
from grpo_pipeline.training.data import load_training_data, pair_table
from grpo_pipeline.training.grpo import train_grpo
from grpo_pipeline.training.loading import load_policy, load_tokenizer
from grpo_pipeline.training.manifest import Run, build_manifest, model_card
from grpo_pipeline.training.methods.budget import grpo_budget
from grpo_pipeline.training.methods.catalog import SAMPLING, USE_WARM_START, Candidate, candidates, led
from grpo_pipeline.training.methods.dpo import train_dpo
from grpo_pipeline.training.model_rewards import model_rewards
from grpo_pipeline.training.policy import Policy, adapter_digest, copy_adapter, fresh_policy, save_adapter
from grpo_pipeline.training.preflight import Start, earlier_preflight, preflight_once
from grpo_pipeline.training.preflight_process import REPORT_FILE
from grpo_pipeline.training.profiles import detect_hardware, resolve
from grpo_pipeline.training.progress import METRICS_FILE, Progress, keep_metrics_until, read_metrics
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.samples import COMPLETIONS_FOLDER
from grpo_pipeline.training.stopping import NOTHING_TO_LEARN, STOPPED_FILE, Stopped, write_stopped
from grpo_pipeline.training.warm_start import PHASE as WARM_START
from grpo_pipeline.training.warm_start import warm_start
from grpo_pipeline.training.watching import Watcher

CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"
# What the week's manifest says of every candidate; the rest is the same for all or in the leading one's.
CANDIDATE_FACTS = ("method", "adapter_sha256", "steps", "seconds", "rewards", "health", "pair_reads", "grpo")


def train(config: RunConfig, watcher: Watcher) -> None:
    """Train a policy and write it to the output folder; a finished one is left as it is.

    Raises:
        PipelineError: model, dataset or settings cannot be used, training diverged, or the folder holds another policy.
    """
    resolved = resolve(config.seeded_settings, detect_hardware())
    with PartialState().main_process_first():
        base = locate_base_model(resolved.base_model, config.home)
    tokenizer = load_tokenizer(base)
    data = load_training_data(config.dataset_dir, tokenizer, resolved)
    extra = model_rewards(config, resolved, base, tokenizer, config.output_dir / CHECKPOINTS)
    run = Run(base, resolved, data, config.champion_adapter, extra)
    output = config.output_dir
    if _is_finished(output, run):
        watcher.note(f"The policy is finished already: {output / MANIFEST}.")
        return
    watcher.note(
        f"Training {base.name} on {len(run.data.examples)} of {run.data.pairs} pairs "
        f"(profile {resolved.profile}, {resolved.dtype})."
    )
    if PartialState().is_main_process and open_checkpoints(output / CHECKPOINTS, run.config_hash):
        watcher.note("Going on from the checkpoints of an earlier attempt.")
    if PartialState().is_main_process:
        (output / STOPPED_FILE).unlink(missing_ok=True)
    PartialState().wait_for_everyone()
    field = candidates(run.methods, output)
    budget = Budget(config.settings, output / CHECKPOINTS, config.home)
    try:
        _learn(field, run, tokenizer, output, budget, watcher)
    except Stopped as stopped:
        watcher.note(stopped.reason)
        if PartialState().is_main_process:
            write_stopped(output, stopped, _reports(field, run, output))
        return
    finally:
        budget.write_down()
    if PartialState().is_main_process:
        _finish(run, field, output, budget)
        watcher.note(f"The policy is finished: {output / MANIFEST}.")


def _learn(
    field: Sequence[Candidate],
    run: Run,
    tokenizer: PreTrainedTokenizerBase,
    output: Path,
    budget: Budget,
    watcher: Watcher,
) -> None:
    """Train all candidates.

    Raises:
        Stopped: a cap is reached, or no candidate came to a policy.
    """
    budget.begin()
    warm = next((candidate for candidate in reversed(field) if candidate.method in USE_WARM_START), None)
    if warm:
        _warm_start(run, tokenizer, output, warm, budget, watcher)
    for candidate in field:
        _train_candidate(candidate, run, tokenizer, output, budget, watcher)
    if not any((candidate.folder / ADAPTER).exists() for candidate in field):
        reports = _preflights(field, run, output)
        raise Stopped(NOTHING_TO_LEARN, next(iter(reports.values())).reason)


def _is_finished(output: Path, run: Run) -> bool:
    manifest = output / MANIFEST
    if not manifest.exists():
        return False
    if json.loads(manifest.read_text(encoding="utf-8")).get("config_hash") == run.config_hash:
        return True
    raise PipelineError(
        f"{output} holds a finished policy of another dataset or other settings: choose another output folder, or "
        "remove this one."
    )


def _phase_folder(output: Path, phase: str) -> Path:
    return output / CHECKPOINTS / phase.lower().replace(" ", "_")


def _take_up(output: Path, phase: str, metrics: Path) -> Path | None:
    """The checkpoint that a phase goes on from, everything written after it being forgotten."""
    folder = _phase_folder(output, phase)
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


def _warm_start(
    run: Run,
    tokenizer: PreTrainedTokenizerBase,
    output: Path,
    candidate: Candidate,
    budget: Budget,
    watcher: Watcher,
) -> None:
    """The phase that SFT is and that GRPO goes on from; its metrics are the candidate's that it is trained for."""
    folder = _phase_folder(output, WARM_START)
    if (folder / ADAPTER).exists():
        return
    metrics = candidate.folder / METRICS_FILE
    checkpoint = _take_up(output, WARM_START, metrics)
    callbacks = [Progress(WARM_START, metrics, watcher), budget]
    policy = Policy(run.base, run.resolved)
    trained = warm_start(policy, run.data, tokenizer, run.resolved, folder, checkpoint, callbacks)
    budget.end_phase(trained.state)
    _save(trained, run, folder / ADAPTER)


def _train_candidate(
    candidate: Candidate,
    run: Run,
    tokenizer: PreTrainedTokenizerBase,
    output: Path,
    budget: Budget,
    watcher: Watcher,
) -> None:
    adapter, metrics = candidate.folder / ADAPTER, candidate.folder / METRICS_FILE
    if adapter.exists():
        return
    if candidate.method == "sft":
        if PartialState().is_main_process:
            _take_over_warm_start(_phase_folder(output, WARM_START), output / METRICS_FILE, candidate)
        PartialState().wait_for_everyone()
        return
    budget.begin_phase()
    folder = _phase_folder(output, candidate.phase)
    checkpoint = _take_up(output, candidate.phase, metrics)
    callbacks = [Progress(candidate.phase, metrics, watcher), budget]
    if candidate.method == "dpo":
        trained = train_dpo(Policy(run.base, run.resolved), run.data, tokenizer, folder, checkpoint, callbacks)
    else:
        resolved, start = grpo_budget(candidate.method, run.data, run.resolved), _start(candidate, run, output)
        if run.resolved.preflight:
            begun = Start(Policy(run.base, resolved), start, process_count())
            preflight = preflight_once(begun, folder, run.data, tokenizer, watcher)
            if not preflight.go:
                _leave_as_it_is(candidate, start, adapter)
                return
            budget.begin_phase(preflight.device_hours * (1 - step_of(checkpoint) / preflight.steps))
        trained = train_grpo(
            _starting_policy(start, run),
            run.data,
            tokenizer,
            resolved,
            folder,
            candidate.folder / COMPLETIONS_FOLDER,
            checkpoint,
            callbacks,
            run.model_rewards,
        )
    budget.end_phase(trained.state)
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
    return run.champion if candidate.method == "from_champion" else _phase_folder(output, WARM_START) / ADAPTER


def _starting_policy(start: Path | None, run: Run) -> PeftModel:
    if start is None:
        return fresh_policy(Policy(run.base, run.resolved))
    # Read back from disk in every case, so that a run that was taken up between the phases is no other run.
    return load_policy(run.base, start, dtype=run.resolved.dtype, trainable=True)


def _preflights(field: Sequence[Candidate], run: Run, output: Path) -> dict[str, Preflight]:
    """What the pre-flights said that were made, by method, that of the leading candidate first."""
    found = {
        candidate.method: earlier_preflight(_phase_folder(output, candidate.phase), run.resolved)
        for candidate in sorted(field, key=lambda candidate: not candidate.leads)
        if candidate.method in SAMPLING
    }
    return {method: preflight for method, preflight in found.items() if preflight}


def _reports(field: Sequence[Candidate], run: Run, output: Path) -> dict[str, Any]:
    return {method: preflight.as_manifest() for method, preflight in _preflights(field, run, output).items()}


def _finish(run: Run, field: Sequence[Candidate], output: Path, budget: Budget) -> None:
    """Write what goes with each adapter, the manifest at the top last, as it says that all is there."""
    manifests = {}
    preflights, reports = _preflights(field, run, output), _reports(field, run, output)
    for candidate in led([candidate for candidate in field if (candidate.folder / ADAPTER).exists()], output):
        folder = candidate.folder
        pair_table(run.data).write_parquet(folder / "pair_ids.parquet")
        metrics = read_metrics(folder / METRICS_FILE)
        digest = adapter_digest(folder / ADAPTER)
        manifest = build_manifest(run, candidate, digest, metrics, preflights.get(candidate.method))
        write_atomically(folder / "README.md", model_card(manifest))
        manifests[candidate] = manifest
    leader = next(manifest for candidate, manifest in manifests.items() if candidate.leads)
    shown = [
        {"folder": candidate.folder.relative_to(output).as_posix()} | {name: manifest[name] for name in CANDIDATE_FACTS}
        for candidate, manifest in manifests.items()
    ]
    if reports:
        write_atomically(output / REPORT_FILE, json.dumps(reports, indent=2))
    whole = {**leader, "preflight": reports, "device_hours": round(budget.spent.run_hours, 6), "candidates": shown}
    write_atomically(output / MANIFEST, json.dumps(whole, indent=2))
    shutil.rmtree(output / CHECKPOINTS)
