"""Trains a policy in a process of its own: `python -m grpo_pipeline.training --config run.json`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.process import EXIT_ERROR, die_with_parent, run_process
from grpo_pipeline.training.run_config import RunConfig, load_run_config
from grpo_pipeline.training.watching import Watcher


def main() -> int:
    """Run one training run as its config file says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m grpo_pipeline.training", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file: dataset_dir, output_dir, home, settings")
    arguments = parser.parse_args()
    die_with_parent()
    try:
        config = load_run_config(arguments.config)
    except PipelineError as error:
        sys.stderr.write(f"Error: {error}\n")
        return EXIT_ERROR
    return run_process(lambda watcher: _train(config, watcher), config.output_dir)


def _train(config: RunConfig, watcher: Watcher) -> None:
    watcher.note("Loading torch and the trainers.")
    from grpo_pipeline.training.determinism import quiet_libraries, use_deterministic_kernels
    from grpo_pipeline.training.run import train

    quiet_libraries()
    use_deterministic_kernels()
    train(config, watcher)


if __name__ == "__main__":
    sys.exit(main())
