"""Does a pre-flight in a process of its own: `python -m grpo_pipeline.training.preflight_process --config run.json`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from grpo_pipeline.training.process import die_with_parent, run_process
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.watching import Watcher

REPORT_FILE = "preflight.json"


class PreflightRun(BaseModel):
    """What to sample from and on what, and where to write the report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_dir: Path
    output_dir: Path
    home: Path
    adapter: Path | None
    """None for the base model itself."""
    devices: int
    """Processes that would train together."""
    settings: TrainingSettings


def main() -> int:
    """Do the pre-flight that a config file describes and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m grpo_pipeline.training.preflight_process", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file with the fields of PreflightRun")
    arguments = parser.parse_args()
    die_with_parent()
    run = PreflightRun.model_validate_json(arguments.config.read_text(encoding="utf-8"))
    return run_process(lambda watcher: _preflight(run, watcher), run.output_dir)


def _preflight(run: PreflightRun, watcher: Watcher) -> None:
    watcher.note("Loading torch and the model.")
    from grpo_pipeline.training.base_model import locate_base_model
    from grpo_pipeline.training.data import load_training_data
    from grpo_pipeline.training.determinism import quiet_libraries
    from grpo_pipeline.training.loading import load_tokenizer
    from grpo_pipeline.training.policy import Policy
    from grpo_pipeline.training.preflight import Start, preflight_once
    from grpo_pipeline.training.profiles import detect_hardware, resolve

    quiet_libraries()
    resolved = resolve(run.settings, detect_hardware())
    base = locate_base_model(resolved.base_model, run.home)
    tokenizer = load_tokenizer(base)
    data = load_training_data(run.dataset_dir, tokenizer, resolved)
    start = Start(Policy(base, resolved), run.adapter, run.devices)
    found = preflight_once(start, run.output_dir, data, tokenizer, watcher)
    report = {**found.as_manifest(), "base_model": base.name, "warm_start": resolved.warm_start}
    (run.output_dir / REPORT_FILE).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
