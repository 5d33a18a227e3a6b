"""Pairs whose preference is known: a hidden direction in the features, the length of the answer, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from grpo_pipeline.gates.reward_fidelity import Fidelity, Judged, measure_fidelity
from grpo_pipeline.reward_modelling.folds import Groups, grouped_folds
from grpo_pipeline.reward_modelling.heads import Heads, PairFeatures, choose_strength, fit_heads, left_out_values
from grpo_pipeline.reward_modelling.scale import RewardScale, fit_scale
from grpo_pipeline.reward_modelling.settings import RewardModelSettings

WIDTH = 16
SETTINGS = RewardModelSettings()


@dataclass(frozen=True)
class Planted:
    """Pairs with their features, texts and contributors."""

    features: PairFeatures
    chosen: list[str]
    rejected: list[str]
    groups: Groups


def planted(pairs: int, kind: Literal["direction", "length", "nothing"], seed: int, *, people: int = 24) -> Planted:
    """Pairs of answers in random order of which the planted rule prefers the first, with a tenth of mistakes."""
    source = np.random.default_rng(seed)
    hidden = np.random.default_rng(99).normal(size=WIDTH)
    features = source.normal(size=(2, pairs, WIDTH))
    lengths = source.integers(20, 200, size=(2, pairs))
    # A language model's states tell how long an answer is.
    features[:, :, 0] = 2 * np.log(lengths) - 8
    judged = {
        "direction": features[..., 1:] @ hidden[1:],
        "length": np.log(lengths),
        "nothing": source.normal(size=(2, pairs)),
    }
    prefers_second = (judged[kind][1] > judged[kind][0]) ^ (source.random(pairs) < 0.1)
    first, second = prefers_second.astype(int), 1 - prefers_second.astype(int)
    rows = np.arange(pairs)
    names = [f"person {row % people}" for row in rows]
    return Planted(
        PairFeatures(features[first, rows], features[second, rows]),
        ["x" * int(length) for length in lengths[first, rows]],
        ["x" * int(length) for length in lengths[second, rows]],
        Groups(names, [None] * pairs, [f"question {row}" for row in rows]),
    )


def fitted(data: Planted, settings: RewardModelSettings = SETTINGS) -> tuple[Heads, RewardScale]:
    """A reward model made from planted pairs, as a week makes it."""
    folds = grouped_folds(data.groups, settings.folds, settings.seed)
    units = data.groups.units(2 * settings.folds)
    strength = choose_strength(data.features, folds)
    values = left_out_values(data.features, folds, units, strength, settings.heads, settings.seed)
    scale = fit_scale(*values, data.chosen, data.rejected)
    return fit_heads(data.features, units, strength, settings.heads, settings.seed), scale


def fidelity_on(held_out: Planted, heads: Heads, scale: RewardScale) -> Fidelity:
    """What the reward model says about other planted pairs."""
    chosen = scale.rewards(heads.values(held_out.features.chosen), held_out.chosen)
    rejected = scale.rewards(heads.values(held_out.features.rejected), held_out.rejected)
    judged = Judged(
        ["A question."] * len(chosen),
        held_out.chosen,
        held_out.rejected,
        held_out.groups.contributor,
        chosen,
        rejected,
        scale.probability(chosen - rejected),
    )
    return measure_fidelity(judged, SETTINGS.confidence, SETTINGS.seed)
