"""Checkpoints that a killed run goes on from: only whole ones, and only of the same config."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from grpo_pipeline.artifacts import flush_tree, write_atomically

CONFIG_HASH = "config_hash"
WHOLE = "whole"


def open_checkpoints(folder: Path, config_hash: str) -> bool:
    """Prepare the folder of a run's checkpoints; True where those of the same config were there already.

    Checkpoints of another config are removed: going on from them would mix two policies.
    """
    stated = folder / CONFIG_HASH
    if stated.exists() and stated.read_text(encoding="utf-8") == config_hash:
        return True
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_atomically(stated, config_hash)
    return False


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint of a phase that was written to its end; those that were not are removed."""
    found: list[Path] = []
    for place in sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2])):
        if (place / WHOLE).exists():
            found.append(place)
        else:
            shutil.rmtree(place)
    return found[-1] if found else None


def step_of(checkpoint: Path | None) -> int:
    """The optimizer step a checkpoint was taken after; 0 where there is none."""
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


class MarkWhole(TrainerCallback):
    """Marks a checkpoint as whole once all of it is on disk, since the trainer writes it file by file in place."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Called after every checkpoint."""
        if not state.is_world_process_zero:
            return
        place = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        flush_tree(place)
        (place / WHOLE).touch()
