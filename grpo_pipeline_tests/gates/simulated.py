"""Scores as an evaluation writes them, drawn at random with known differences between the models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

METRICS = ("preference_accuracy", "contrastive_similarity", "tool_call_accuracy", "length_deviation", "truncated")


def simulated_scores(
    seed: int,
    *,
    contributors: int = 15,
    pairs_each: int = 3,
    shifts: Mapping[str, Mapping[str, float]] | None = None,
    contributor_spread: float = 0.1,
    pair_spread: float = 0.1,
    models: tuple[str, ...] = ("base", "incumbent", "candidate"),
    metrics: tuple[str, ...] = METRICS,
    samples: int = 2,
) -> pl.DataFrame:
    """Scores around 0.5, shifted per model and metric; each contributor has a taste for each model of their own."""
    random = np.random.default_rng(seed)
    rows = []
    for contributor in range(contributors):
        taste = {model: random.normal(0, contributor_spread) for model in models}
        for pair in range(pairs_each):
            for model in models:
                for metric in metrics:
                    mean = 0.5 + (shifts or {}).get(model, {}).get(metric, 0.0) + taste[model]
                    values = random.normal(mean, pair_spread, samples)
                    if metric == "preference_accuracy":
                        values = (random.random(1) < mean).astype(float)
                    rows += [
                        (f"pair-{contributor}-{pair}", f"contributor-{contributor}", model, metric, value, sample)
                        for sample, value in enumerate(values)
                    ]
    schema = {"pair_id": pl.String, "contributor": pl.String, "model": pl.String, "metric": pl.String}
    return pl.DataFrame(rows, schema={**schema, "value": pl.Float64, "sample": pl.Int32}, orient="row")
