"""Starts training runs on the tiny model, in this process or as one that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.watching import LineWatcher

# Sums are split over threads, so runs are only equal to the bit with the same number of them.
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def tiny_config(dataset: Path, output: Path, home: Path, **settings: Any) -> RunConfig:  # noqa: ANN401
    return RunConfig(
        dataset_dir=dataset,
        output_dir=output,
        home=home,
        seed=3,
        # A model that knows nothing has little to learn from its own answers; it is trained all the same.
        settings=TrainingSettings(**{"profile": "tiny", "preflight_min_useful": 0.0, **settings}),
    )


def run_here(config: RunConfig) -> list[str]:
    """Train in this process and return what it said."""
    from grpo_pipeline.training.determinism import quiet_libraries, use_deterministic_kernels
    from grpo_pipeline.training.run import train

    quiet_libraries()
    use_deterministic_kernels()
    said: list[str] = []
    config.output_dir.mkdir(parents=True, exist_ok=True)
    train(config, LineWatcher([said.append]))
    return said


def start(config: RunConfig, *launcher: str) -> subprocess.Popen[str]:
    """A training process of its own."""
    config_file = config.output_dir.with_suffix(".json")
    config_file.write_text(config.model_dump_json(), encoding="utf-8")
    command = [sys.executable, *(launcher or ("-m",)), "grpo_pipeline.training", "--config", str(config_file)]
    return subprocess.Popen(
        command, env={**os.environ, **THREADS}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def metrics(output: Path) -> list[dict[str, Any]]:
    """The metrics written so far, without what differs from run to run: the clock."""
    path = output / "metrics.jsonl"
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return [{name: value for name, value in row.items() if name not in ("seconds", "step_time")} for row in rows]


def reached(output: Path, phase: str, step: int) -> bool:
    return any(row["phase"] == phase and row["step"] >= step for row in metrics(output))


def samples(output: Path) -> pl.DataFrame:
    return pl.concat(pl.read_parquet(path) for path in sorted((output / "completions").glob("*.parquet")))


def manifest(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    return found
