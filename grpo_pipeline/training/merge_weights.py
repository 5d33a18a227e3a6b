"""Merges an adapter into its base model: `python -m grpo_pipeline.training.merge_weights --config run.json`."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from grpo_pipeline.training.config_file import read_config, require_adapter
from grpo_pipeline.training.process import main_from_file
from grpo_pipeline.training.watching import Watcher


class MergeRun(BaseModel):
    """The content of the config file of one merge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    base_model: str
    adapter: Path | None = None
    """Unset: the base model as it is."""
    output_dir: Path
    """Gets weights, tokenizer and chat template, as `transformers` and llama.cpp's converter read them."""


def main() -> int:
    """Merge as a config file says and return the exit code."""
    return main_from_file("grpo_pipeline.training.merge_weights", __doc__, read_merge_run, _merge)


def read_merge_run(path: Path) -> MergeRun:
    """The merge that a config file describes.

    Raises:
        PipelineError: the file cannot be read or names something that is not there.
    """
    run = read_config(path, MergeRun)
    require_adapter(run.adapter)
    return run


def _merge(run: MergeRun, watcher: Watcher) -> None:
    watcher.note("Loading torch.")
    import torch
    from transformers import AutoConfig

    from grpo_pipeline.training.base_model import locate_base_model
    from grpo_pipeline.training.determinism import quiet_libraries
    from grpo_pipeline.training.loading import load_policy, load_tokenizer, merged

    quiet_libraries()
    base = locate_base_model(run.base_model, run.home)
    tokenizer = load_tokenizer(base)
    kept_in = AutoConfig.from_pretrained(base.folder).dtype or torch.float32
    merged(load_policy(base, run.adapter), kept_in).save_pretrained(run.output_dir)
    tokenizer.save_pretrained(run.output_dir)
    watcher.note("Merged.")


if __name__ == "__main__":
    sys.exit(main())
