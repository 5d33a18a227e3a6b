"""How long the code location takes to load, against a Dagster project with nothing in it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 5
EMPTY = "import dagster as dg; dg.Definitions().get_repository_def()"
OURS = "import grpo_pipeline.definitions as d, sys; d.defs.get_repository_def(); assert 'torch' not in sys.modules"


def seconds(program: str) -> float:
    """Wall time of a fresh interpreter that runs one program."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Interleave both so that the machine's other work falls on each alike."""
    for program in (EMPTY, OURS):
        seconds(program)
    pairs = [(seconds(EMPTY), seconds(OURS)) for _ in range(RUNS)]
    empty, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"loading the code location: {ours:.2f} s, an empty Dagster project {empty:.2f} s, ratio {ours / empty:.2f}")
    print(f"  median of {RUNS} fresh interpreters each; torch is not loaded")


if __name__ == "__main__":
    main()
