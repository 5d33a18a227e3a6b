"""Makes a reward model in a process of its own: `python -m grpo_pipeline.training.reward_model --config run.json`."""

from __future__ import annotations

import os
import sys

from grpo_pipeline.training.process import main_from_file
from grpo_pipeline.training.reward_model.config import RewardModelRun, read_run
from grpo_pipeline.training.watching import Watcher


def main() -> int:
    """Make one reward model as its config file says and return the exit code."""
    return main_from_file("grpo_pipeline.training.reward_model", __doc__, read_run, _make)


def _make(run: RewardModelRun, watcher: Watcher) -> None:
    # One process on one GPU: with several in sight the trainer would split every batch over them in threads.
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    # The fits are many and small: threads would only wait for each other, and the bytes would depend on them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    watcher.note("Loading torch.")
    from grpo_pipeline.training.determinism import quiet_libraries, use_deterministic_kernels
    from grpo_pipeline.training.reward_model.run import make_reward_model

    quiet_libraries()
    use_deterministic_kernels()
    watcher.note(make_reward_model(run, watcher).reason)


if __name__ == "__main__":
    sys.exit(main())
