"""One training run from a dataset to a policy, in steps that can each be taken up again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from accelerate import PartialState  # type: ignore[import-untyped]
from transformers import PreTrainedTokenizerBase

from grpo_pipeline.artifacts import MANIFEST, write_atomically
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.checkpoints import last_whole_checkpoint, open_checkpoints, step_of
from grpo_pipeline.training.data import load_training_data, pair_table
from grpo_pipeline.training.grpo import PHASE as GRPO
from grpo_pipeline.training.grpo import train_grpo
from grpo_pipeline.training.loading import load_policy, load_tokenizer
from grpo_pipeline.training.manifest import Run, build_manifest, model_card
from grpo_pipeline.training.policy import Policy, adapter_digest, fresh_policy, save_adapter
from grpo_pipeline.training.profiles import detect_hardware, resolve
from grpo_pipeline.training.progress import METRICS_FILE, Progress, keep_metrics_until, read_metrics
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.samples import COMPLETIONS_FOLDER
from grpo_pipeline.training.warm_start import PHASE as WARM_START
from grpo_pipeline.training.warm_start import warm_start
from grpo_pipeline.training.watching import Watcher

CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"


def train(config: RunConfig, watcher: Watcher) -> None:
    """Train a policy and write it to the output folder; a finished one is left as it is.

    Raises:
        PipelineError: model, dataset or settings cannot be used, training diverged, or the folder holds another policy.
    """
    resolved = resolve(config.seeded_settings, detect_hardware())
    with PartialState().main_process_first():
        base = locate_base_model(resolved.base_model, config.home)
    tokenizer = load_tokenizer(base)
    run = Run(base, resolved, load_training_data(config.dataset_dir, tokenizer, resolved))
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
    PartialState().wait_for_everyone()
    if resolved.warm_start:
        _warm_start(run, tokenizer, output, watcher)
    _grpo(run, tokenizer, output, watcher)
    if PartialState().is_main_process:
        _finish(run, output)
        watcher.note(f"The policy is finished: {output / MANIFEST}.")


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


def _take_up(output: Path, phase: str) -> Path | None:
    """The checkpoint that a phase goes on from, everything written after it being forgotten."""
    folder = _phase_folder(output, phase)
    if PartialState().is_main_process:
        checkpoint = last_whole_checkpoint(folder)
        keep_metrics_until(output / METRICS_FILE, phase, step_of(checkpoint))
    PartialState().wait_for_everyone()
    return last_whole_checkpoint(folder)


def _warm_start(run: Run, tokenizer: PreTrainedTokenizerBase, output: Path, watcher: Watcher) -> None:
    folder = _phase_folder(output, WARM_START)
    if (folder / ADAPTER).exists():
        return
    checkpoint = _take_up(output, WARM_START)
    callback = Progress(WARM_START, output / METRICS_FILE, watcher)
    policy = Policy(run.base, run.resolved)
    trainer = warm_start(policy, run.data, tokenizer, run.resolved, folder, checkpoint, callback)
    if PartialState().is_main_process:
        save_adapter(trainer.accelerator.unwrap_model(trainer.model), run.base, folder / ADAPTER)
    PartialState().wait_for_everyone()


def _grpo(run: Run, tokenizer: PreTrainedTokenizerBase, output: Path, watcher: Watcher) -> None:
    if (output / ADAPTER).exists():
        return
    checkpoint = _take_up(output, GRPO)
    # Read back from disk in every case, so that a run that was taken up between the phases is no other run.
    if run.resolved.warm_start:
        warm = _phase_folder(output, WARM_START) / ADAPTER
        model = load_policy(run.base, warm, dtype=run.resolved.dtype, trainable=True)
    else:
        model = fresh_policy(Policy(run.base, run.resolved))
    trainer = train_grpo(
        model,
        run.data,
        tokenizer,
        run.resolved,
        _phase_folder(output, GRPO),
        output / COMPLETIONS_FOLDER,
        checkpoint,
        Progress(GRPO, output / METRICS_FILE, watcher),
    )
    if PartialState().is_main_process:
        save_adapter(trainer.accelerator.unwrap_model(trainer.model), run.base, output / ADAPTER)
    PartialState().wait_for_everyone()


def _finish(run: Run, output: Path) -> None:
    """Write what goes with the adapter, the manifest last, as it says that all is there."""
    pair_table(run.data).write_parquet(output / "pair_ids.parquet")
    manifest = build_manifest(run, adapter_digest(output / ADAPTER), read_metrics(output / METRICS_FILE))
    write_atomically(output / "README.md", model_card(manifest))
    write_atomically(output / MANIFEST, json.dumps(manifest, indent=2))
    shutil.rmtree(output / CHECKPOINTS)
