"""One training run from a dataset to a policy, in steps that can each be taken up again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState  # type: ignore[import-untyped]

from grpo_pipeline.artifacts import MANIFEST, write_atomically
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.gates.preflight import Preflight
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.budget import Budget
from grpo_pipeline.training.checkpoints import open_checkpoints
from grpo_pipeline.training.data import load_training_data, pair_table
from grpo_pipeline.training.loading import load_tokenizer
from grpo_pipeline.training.manifest import Run, build_manifest, model_card
from grpo_pipeline.training.methods.catalog import SAMPLING, USE_WARM_START, Candidate, candidates, led
from grpo_pipeline.training.model_rewards import model_rewards
from grpo_pipeline.training.phases import ADAPTER, CHECKPOINTS, Attempt, phase_folder, train_candidate, train_warm_start
from grpo_pipeline.training.policy import adapter_digest
from grpo_pipeline.training.preflight import earlier_preflight
from grpo_pipeline.training.preflight_process import REPORT_FILE
from grpo_pipeline.training.profiles import detect_hardware, resolve
from grpo_pipeline.training.progress import METRICS_FILE, read_metrics
from grpo_pipeline.training.rehearsal import earlier_rehearsal
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.stopping import NOTHING_TO_LEARN, STOPPED_FILE, Stopped, write_stopped
from grpo_pipeline.training.warm_start import PHASE as WARM_START
from grpo_pipeline.training.watching import Watcher

# What the week's manifest says of every candidate; the rest is the same for all or in the leading one's.
CANDIDATE_FACTS = ("method", "adapter_sha256", "steps", "seconds", "rewards", "health", "pair_reads", "grpo")


def train(config: RunConfig, watcher: Watcher) -> None:
    """Train a policy and write it to the output folder; a finished one is left as it is.

    Raises:
        PipelineError: model, dataset or settings cannot be used, training diverged, or the folder holds another policy.
    """
    resolved = resolve(config.seeded_settings, detect_hardware())
    # Told about the CPU: otherwise each of several processes without a GPU takes itself for the only one until training
    # begins, and all prepare the same folder at once.
    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
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
    for reward in extra:
        watcher.note(f"The reward {reward.name} takes part with weight {reward.weight}.")
    if PartialState().is_main_process and open_checkpoints(output / CHECKPOINTS, run.config_hash):
        watcher.note("Going on from the checkpoints of an earlier attempt.")
    if PartialState().is_main_process:
        (output / STOPPED_FILE).unlink(missing_ok=True)
    PartialState().wait_for_everyone()
    field = candidates(run.methods, output)
    budget = Budget(config.settings, output / CHECKPOINTS, config.home)
    try:
        _learn(field, Attempt(run, tokenizer, output, budget, watcher))
    except Stopped as stopped:
        watcher.note(stopped.reason)
        if PartialState().is_main_process:
            write_stopped(output, stopped, _reports(_preflights(field, run, output)))
        return
    finally:
        budget.write_down()
    if PartialState().is_main_process:
        _finish(run, field, output, budget)
        watcher.note(f"The policy is finished: {output / MANIFEST}.")


def _learn(field: Sequence[Candidate], attempt: Attempt) -> None:
    """Train all candidates.

    Raises:
        Stopped: a cap is reached, or no candidate came to a policy.
    """
    attempt.budget.begin()
    warm = next((candidate for candidate in reversed(field) if candidate.method in USE_WARM_START), None)
    if warm:
        train_warm_start(attempt, warm)
    for candidate in field:
        train_candidate(attempt, candidate)
    if not any((candidate.folder / ADAPTER).exists() for candidate in field):
        reports = _preflights(field, attempt.run, attempt.output)
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


def _preflights(field: Sequence[Candidate], run: Run, output: Path) -> dict[str, Preflight]:
    """What the pre-flights said that were made, by method, that of the leading candidate first."""
    found = {
        candidate.method: earlier_preflight(phase_folder(output, candidate.phase), run.resolved)
        for candidate in sorted(field, key=lambda candidate: not candidate.leads)
        if candidate.method in SAMPLING
    }
    return {method: preflight for method, preflight in found.items() if preflight}


def _reports(preflights: Mapping[str, Preflight]) -> dict[str, Any]:
    return {method: preflight.as_manifest() for method, preflight in preflights.items()}


def _finish(run: Run, field: Sequence[Candidate], output: Path, budget: Budget) -> None:
    """Write what goes with each adapter, the manifest at the top last, as it says that all is there."""
    manifests = {}
    rehearsed = len(earlier_rehearsal(phase_folder(output, WARM_START)))
    preflights = _preflights(field, run, output)
    reports = _reports(preflights)
    for candidate in led([candidate for candidate in field if (candidate.folder / ADAPTER).exists()], output):
        folder = candidate.folder
        pair_table(run.data).write_parquet(folder / "pair_ids.parquet")
        metrics = read_metrics(folder / METRICS_FILE)
        digest = adapter_digest(folder / ADAPTER)
        manifest = build_manifest(run, candidate, digest, metrics, preflights.get(candidate.method), rehearsed)
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
