"""What the UI shows of a reward model: its fidelity beside that of the simple rules, never a pair."""

from __future__ import annotations

from typing import Any

import polars as pl

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.reporting import table_of

LEVELS = {
    "ranking": pl.String,
    "accuracy": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "advantage of the model": pl.Float64,
    "advantage low": pl.Float64,
    "advantage high": pl.Float64,
}


def reward_model_views(made: Artifact) -> dict[str, Any]:
    """Whether it is used, how well it ranks held-out pairs, how sure it may be of it, and whether length drives it."""
    manifest = made.manifest
    fidelity = manifest.get("fidelity")
    if fidelity is None:
        return {"used": manifest["used"]}
    return {
        "used": manifest["used"],
        "kind": manifest["model"]["kind"],
        "accuracy": fidelity["accuracy"]["mean"],
        "Brier score": fidelity["brier"],
        "calibration error": fidelity["calibration_error"],
        "rank correlation with length": fidelity["length_correlation"],
        "on held-out pairs": table_of(fidelity_table(fidelity)),
        "accuracy in cross-validation": manifest["cross_validation"],
        "seconds": float(sum(manifest["seconds"].values())),
    }


def fidelity_table(fidelity: dict[str, Any]) -> pl.DataFrame:
    """The reward model and every rule: how often each ranks a pair right, and how much more often the model does."""
    own = fidelity["accuracy"]
    rows = [("reward model", own["mean"], own["low"], own["high"], None, None, None)]
    for rule in fidelity["baselines"]:
        gain = rule["advantage"]
        name = f"{rule['name']} is better"
        rows.append((name, rule["accuracy"], None, None, gain["mean"], gain["low"], gain["high"]))
    return pl.DataFrame(rows, schema=LEVELS, orient="row")
