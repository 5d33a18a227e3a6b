"""`make bench`: every benchmark in an interpreter of its own, one after the other.

`python -m grpo_pipeline_tests.benchmarks NAME...` runs some of them.
"""

from __future__ import annotations

import subprocess
import sys
import time

BENCHMARKS = {
    "code_location": "loading the code location, against an empty Dagster project",
    "extraction": "extracting 200,000 rows to Parquet, against \\copy to nowhere",
    "curation": "curating 200,000 pairs",
    "backfill": "the data assets of 52 weeks in one run, against 52 runs",
    "feedback_posts": "feedback posted over HTTP, against one commit for every post",
    "weekly_chain": "what the weekly chain costs beyond its training and evaluation",
    "training": "GRPO steps against two plain TRL scripts, and against the machine's roofs",
    "warm_start": "warm-start steps on an agent's corrections, against TRL's",
}
# `make bench-training`: minutes on a CPU.
NAMED_ONLY = {"training", "warm_start"}


def main(names: list[str]) -> int:
    """Run the named benchmarks, all of them without a name; the exit code counts the failed ones."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"No benchmark is called {', '.join(unknown)}. There are: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    failed = []
    for name in names or sorted(set(BENCHMARKS) - NAMED_ONLY, key=list(BENCHMARKS).index):
        print(f"\n== {name}: {BENCHMARKS[name]}", flush=True)
        start = time.perf_counter()
        result = subprocess.run([sys.executable, "-m", f"grpo_pipeline_tests.benchmarks.{name}"], check=False)
        print(f"   ({time.perf_counter() - start:.0f} s)", flush=True)
        if result.returncode:
            failed.append(name)
    if failed:
        print(f"\nFailed: {', '.join(failed)}.", file=sys.stderr)
    else:
        print("\nAll ratios are of figures measured in this run. What they mean: README, section on speed.")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
