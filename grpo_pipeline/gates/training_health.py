"""Whether a training run could learn anything: what its metrics say before any evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_pipeline.verdict import Verdict

# A group whose answers all get the same reward teaches nothing; an answer that was cut off is judged unfinished.
MOST_DEAD_GROUPS = 0.6
MOST_CUT_OFF = 0.5
DEAD_GROUPS = "frac_reward_zero_std"
CUT_OFF = "completions/clipped_ratio"
ALWAYS_FINITE = ("loss", "grad_norm")


def health_summary(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over GRPO's steps of what shows its health; a number that was never logged is left out."""
    rows = [row for row in metrics if "reward" in row]
    means = {
        "reward": _mean(rows, "reward"),
        "dead_groups": _mean(rows, DEAD_GROUPS),
        "cut_off_answers": _mean(rows, CUT_OFF),
        "gradient_norm": _mean(rows, "grad_norm"),
        "kl": _mean(rows, "kl"),
    }
    return {name: value for name, value in means.items() if value is not None}


def training_health(metrics: Sequence[Mapping[str, Any]], *, sampled: bool = True) -> Verdict:
    """`fail` where a number is not finite, `inconclusive` where little could be learned, else `pass`.

    Args:
        metrics: every step's.
        sampled: the method samples answers, as GRPO does.
    """
    rows = [row for row in metrics if "reward" in row or not sampled]
    if not rows:
        return Verdict("fail", f"No {'GRPO' if sampled else 'training'} step was logged.")
    broken = [name for name in ALWAYS_FINITE if any(name in row and not _finite(row[name]) for row in metrics)]
    if broken:
        return Verdict("fail", f"Not finite at some step: {', '.join(broken)}.")
    if not sampled:
        return Verdict("pass", "All numbers finite; no answers were sampled.")
    dead, cut = _mean(rows, DEAD_GROUPS) or 0.0, _mean(rows, CUT_OFF) or 0.0
    if dead > MOST_DEAD_GROUPS:
        return Verdict(
            "inconclusive", f"{dead:.0%} of the groups taught nothing, as all their answers got the same reward."
        )
    if cut > MOST_CUT_OFF:
        return Verdict(
            "inconclusive",
            f"{cut:.0%} of the sampled answers were cut off: raise GRPO_TRAINING__MAX_COMPLETION_TOKENS.",
        )
    return Verdict("pass", f"All numbers finite, {dead:.0%} dead groups, {cut:.0%} answers cut off.")


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [float(row[name]) for row in rows if _finite(row.get(name))]
    return sum(values) / len(values) if values else None
