"""Evaluates a candidate in a process of its own: `python -m grpo_pipeline.evaluation --config eval.json`."""

from __future__ import annotations

import sys

from grpo_pipeline.evaluation.config import EvaluationRun, read_run
from grpo_pipeline.training.process import main_from_file
from grpo_pipeline.training.watching import Watcher


def main() -> int:
    """Evaluate as a config file says and return the exit code."""
    return main_from_file("grpo_pipeline.evaluation", __doc__, read_run, _evaluate)


def _evaluate(run: EvaluationRun, watcher: Watcher) -> None:
    watcher.note("Loading torch.")
    from grpo_pipeline.evaluation.run import evaluate
    from grpo_pipeline.training.determinism import quiet_libraries

    quiet_libraries()
    verdict = evaluate(run, watcher)
    watcher.note(f"{verdict.status}: {verdict.reason}")


if __name__ == "__main__":
    sys.exit(main())
