"""Does a pre-flight in a process of its own: `python -m grpo_pipeline.training.preflight_process --config run.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grpo_pipeline.training.config_file import read_config
from grpo_pipeline.training.process import main_from_file
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.watching import Watcher

REPORT_FILE = "preflight.json"


class PreflightRun(RunConfig):
    """A training run that is only asked about; the report goes into the output folder."""

    adapter: Path | None
    """What to sample from; None for the base model itself."""
    devices: int
    """Processes that would train together."""


def read_run(path: Path) -> PreflightRun:
    """The pre-flight that a config file describes."""
    return read_config(path, PreflightRun)


def main() -> int:
    """Do the pre-flight that a config file describes and return the exit code."""
    return main_from_file("grpo_pipeline.training.preflight_process", __doc__, read_run, _preflight)


def _preflight(run: PreflightRun, watcher: Watcher) -> None:
    watcher.note("Loading torch and the model.")
    from grpo_pipeline.training.base_model import locate_base_model
    from grpo_pipeline.training.data import load_training_data
    from grpo_pipeline.training.determinism import quiet_libraries
    from grpo_pipeline.training.loading import load_tokenizer
    from grpo_pipeline.training.model_rewards import model_rewards
    from grpo_pipeline.training.policy import Policy
    from grpo_pipeline.training.preflight import Start, preflight_once
    from grpo_pipeline.training.profiles import detect_hardware, resolve

    quiet_libraries()
    resolved = resolve(run.seeded_settings, detect_hardware())
    base = locate_base_model(resolved.base_model, run.home)
    tokenizer = load_tokenizer(base)
    data = load_training_data(run.dataset_dir, tokenizer, resolved)
    extra = model_rewards(run, resolved, base, tokenizer, run.output_dir)
    start = Start(Policy(base, resolved), run.adapter, run.devices, extra)
    found = preflight_once(start, run.output_dir, data, tokenizer, watcher)
    report = {**found.as_manifest(), "base_model": base.name, "warm_start": resolved.warm_start}
    (run.output_dir / REPORT_FILE).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
