"""How many answers are right, by category, with intervals; and whether one model answers more of them right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from grpo_pipeline.conversation import ToolCall, parse_tool_calls
from grpo_pipeline.rewards.tool_calls import calls_credit

CONFIDENCE = 0.95
ALL = "all"


@dataclass(frozen=True)
class Share:
    """How many of n answers are right, with Wilson's interval of the share."""

    right: int
    n: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much oftener one model is right than another on the same n questions.

    `gained` and `lost` count the questions that only the one or only the other answers rightly; `p` is McNemar's exact
    two-sided test of whether that could be chance. Where `low` is above 0 or `high` below, it is credible.
    """

    n: int
    gained: int
    lost: int
    difference: float
    low: float
    high: float
    p: float


def failure_kind(answer: str, wanted: Sequence[ToolCall]) -> str | None:
    """What is wrong with an answer, the first that applies; None where its calls are exactly the wanted ones."""
    given = parse_tool_calls(answer)
    if given is None:
        return "malformed call"
    if not wanted:
        return "needless call" if given else None
    if not given:
        return "no call"
    if calls_credit(given, wanted) == 1.0:
        return None
    if len(given) != len(wanted):
        return "number of calls"
    if sorted(call.name for call in given) != sorted(call.name for call in wanted):
        return "tool"
    for call in given:
        names = [set(other.arguments) for other in wanted if other.name == call.name]
        if set(call.arguments) not in names:
            return "missing argument" if any(name - set(call.arguments) for name in names) else "needless argument"
    return "value"


def wilson(right: int, n: int, confidence: float = CONFIDENCE) -> Share:
    """The share of right answers with Wilson's score interval (https://doi.org/10.1080/01621459.1927.10502953)."""
    from scipy import stats

    interval = stats.binomtest(right, n).proportion_ci(confidence, method="wilson")
    return Share(right, n, right / n, float(interval.low), float(interval.high))


def paired_difference(better: Sequence[bool], worse: Sequence[bool], confidence: float = CONFIDENCE) -> Difference:
    """The difference of two models on the same questions, with the interval of a paired difference of shares.

    Interval: Agresti and Min 2005 (https://doi.org/10.1002/sim.1781), which adds half an answer to each cell.
    """
    from scipy import stats

    gained = sum(now and not before for now, before in zip(better, worse, strict=True))
    lost = sum(before and not now for now, before in zip(better, worse, strict=True))
    n, z = len(better), float(stats.norm.ppf((1 + confidence) / 2))
    more, less, total = gained + 0.5, lost + 0.5, n + 2
    middle = (more - less) / total
    half = z * math.sqrt((more + less) - (more - less) ** 2 / total) / total
    p = float(stats.binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0
    return Difference(n, gained, lost, (gained - lost) / n, middle - half, middle + half, p)


def shares_by_category(right: Mapping[str, bool], categories: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Wilson's shares by category, and over all of them, from whether each question was answered rightly."""
    found = {}
    for name in [*sorted(set(categories.values())), ALL]:
        chosen = [value for key, value in right.items() if name in (ALL, categories[key])]
        if chosen:
            found[name] = asdict(wilson(sum(chosen), len(chosen)))
    return found


def differences_by_category(
    better: Mapping[str, bool], worse: Mapping[str, bool], categories: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Paired differences by category, and over all of them."""
    found = {}
    for name in [*sorted(set(categories.values())), ALL]:
        chosen = [key for key in better if name in (ALL, categories[key])]
        if chosen:
            found[name] = asdict(paired_difference([better[key] for key in chosen], [worse[key] for key in chosen]))
    return found
