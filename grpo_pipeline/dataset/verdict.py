"""Whether a week's dataset is worth training on: enough new pairs, and something held out to judge the result by."""

from __future__ import annotations

from collections.abc import Collection

from grpo_pipeline.dataset.build import PreferenceDataset, contributors
from grpo_pipeline.dataset.split import LEAK
from grpo_pipeline.verdict import Verdict
from grpo_pipeline.weeks import Week

BY_PROMPT = "GRPO_DATASET__HOLD_OUT_BY=prompt"
FRACTION = "GRPO_DATASET__HELD_OUT_FRACTION"
SIMILARITY = "GRPO_DATASET__LEAK_SIMILARITY"


def dataset_verdict(dataset: PreferenceDataset, known_ids: Collection[str], since: Week | None = None) -> Verdict:
    """Whether to train on a dataset, and the words for the UI.

    Args:
        dataset: the week's dataset.
        known_ids: the pairs that the last trained earlier week had; empty where none was trained.
        since: that week.
    """
    minimum = dataset.settings.min_new_pairs
    counts = dataset.counts
    if counts["train"] + counts["held_out"] + counts.get(f"excluded_{LEAK}", 0) >= minimum:
        fault = split_fault(dataset)
        if fault:
            return Verdict("fail", f"{fault} Not trained.")
    return new_pairs_verdict([*dataset.train["id"], *dataset.held_out["id"]], known_ids, minimum, since)


def new_pairs_verdict(
    pair_ids: Collection[str], known_ids: Collection[str], minimum: int, since: Week | None = None
) -> Verdict:
    """Whether enough pairs, to train on or held out, are new since the last trained week."""
    new = len(set(pair_ids) - set(known_ids))
    asked = f" since {since.key}" if since else ""
    if new < minimum:
        return Verdict("skipped", f"{new} of {minimum} new pairs{asked}: not trained")
    return Verdict("pass", f"{new} new pairs{asked} (at least {minimum})")


def split_fault(dataset: PreferenceDataset) -> str | None:
    """Why a dataset that has pairs cannot be split, and the setting that helps; None where it can."""
    train, held_out = len(dataset.train), len(dataset.held_out)
    if bool(train) == bool(held_out):
        return None
    missing, side = ("training", "held-out") if held_out else ("held-out", "training")
    pairs = train + held_out
    share = f"{dataset.settings.held_out_fraction:.0%}"
    leaks = dataset.counts.get(f"excluded_{LEAK}", 0)
    if leaks:
        return (
            f"No {missing} pairs: {leaks} were left out because their prompts are near-duplicates of {side} prompts; "
            f"{_advice(dataset, f'raise {SIMILARITY}')}."
        )
    if dataset.settings.hold_out_by == "prompt":
        return (
            f"No {missing} pairs: the prompts of all {pairs} pairs are on the {side} side (held out: {share}); "
            f"change {FRACTION} or wait for more prompts."
        )
    people = len(contributors(dataset.train) | contributors(dataset.held_out))
    if people == 1:
        return f"No {missing} pairs: all {pairs} pairs come from 1 contributor; {_advice(dataset)}."
    return (
        f"No {missing} pairs: all {people} contributors are on the {side} side (held out: {share}); "
        f"{_advice(dataset, f'change {FRACTION}')}."
    )


def _advice(dataset: PreferenceDataset, otherwise: str = "") -> str:
    by_prompt = f"set {BY_PROMPT} to split by prompt" if dataset.settings.hold_out_by == "contributor" else ""
    return ", or ".join(part for part in (by_prompt, otherwise) if part)
