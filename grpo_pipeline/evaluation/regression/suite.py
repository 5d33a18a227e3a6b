"""The regression suite: short fixed requests, by family, that every model answers beside the held-out pairs.

It asks what feedback does not: whether a policy that pleases its users still calls tools, keeps to formats and knows
simple facts, and has not learned to flatter or to agree with what is wrong. It is small: it sees a family fall apart,
not a loss of a few percent.
"""

from __future__ import annotations

from collections.abc import Iterator

from grpo_pipeline.evaluation.regression import calls, false_claims, flattery, general, output_format
from grpo_pipeline.evaluation.regression.probe import Probe

# Longest answers in tokens: enough for what is checked.
ANSWER_TOKENS = {
    calls.FAMILY: 40,
    output_format.FAMILY: 24,
    general.FAMILY: 16,
    flattery.FAMILY: 16,
    false_claims.FAMILY: 8,
}
# Where the answers' score is a metric of its own beside that of the two continuations, instead of half of one.
APART = {general.FAMILY: general.ANSWERS}
FAMILIES: dict[str, tuple[Probe, ...]] = {
    calls.FAMILY: calls.PROBES,
    output_format.FAMILY: output_format.PROBES,
    general.FAMILY: general.PROBES,
    flattery.FAMILY: flattery.PROBES,
    false_claims.FAMILY: false_claims.PROBES,
}


def probes(most: int) -> Iterator[tuple[str, list[Probe]]]:
    """Every family with its first items, at most so many; none at all for 0."""
    for family, items in FAMILIES.items():
        if most:
            yield family, list(items[:most])
