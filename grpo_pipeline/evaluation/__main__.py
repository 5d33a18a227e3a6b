"""Evaluates a candidate in a process of its own: `python -m grpo_pipeline.evaluation --config eval.json`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.config import EvaluationRun, read_run
from grpo_pipeline.training.process import EXIT_ERROR, die_with_parent, run_process
from grpo_pipeline.training.watching import Watcher


def main() -> int:
    """Evaluate as a config file says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m grpo_pipeline.evaluation", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file: held_out, output_dir, models, settings")
    arguments = parser.parse_args()
    die_with_parent()
    try:
        run = read_run(arguments.config)
    except PipelineError as error:
        sys.stderr.write(f"Error: {error}\n")
        return EXIT_ERROR
    return run_process(lambda watcher: _evaluate(run, watcher), run.output_dir)


def _evaluate(run: EvaluationRun, watcher: Watcher) -> None:
    watcher.note("Loading torch.")
    from grpo_pipeline.evaluation.run import evaluate
    from grpo_pipeline.training.determinism import quiet_libraries

    quiet_libraries()
    verdict = evaluate(run, watcher)
    watcher.note(f"{verdict.status}: {verdict.reason}")


if __name__ == "__main__":
    sys.exit(main())
