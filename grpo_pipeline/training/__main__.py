"""Trains a policy in a process of its own: `python -m grpo_pipeline.training --config run.json`."""

from __future__ import annotations

import sys

from grpo_pipeline.training.process import main_from_file
from grpo_pipeline.training.run_config import RunConfig, load_run_config
from grpo_pipeline.training.watching import Watcher


def main() -> int:
    """Run one training run as its config file says and return the exit code."""
    return main_from_file("grpo_pipeline.training", __doc__, load_run_config, _train)


def _train(config: RunConfig, watcher: Watcher) -> None:
    watcher.note("Loading torch and the trainers.")
    from grpo_pipeline.training.determinism import quiet_libraries, use_deterministic_kernels
    from grpo_pipeline.training.run import train

    quiet_libraries()
    use_deterministic_kernels()
    train(config, watcher)


if __name__ == "__main__":
    sys.exit(main())
