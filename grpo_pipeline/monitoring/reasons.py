"""What a comparison says, in one sentence with its numbers."""

from __future__ import annotations

from grpo_pipeline.monitoring.sample_ratio import SampleRatio
from grpo_pipeline.monitoring.sequential import Comparison
from grpo_pipeline.monitoring.settings import MonitoringSettings


def reason_of(comparison: Comparison, uneven: SampleRatio | None, settings: MonitoringSettings) -> str:
    """Why a comparison is decided as it is.

    Args:
        comparison: of the version in question with the one it is compared with.
        uneven: how the users split, where that does not fit the shares.
        settings: what counts as credible.
    """
    least = min(comparison.users)
    if least < settings.min_users:
        beginning = f"{least} of {settings.min_users} users of each version so far"
    elif comparison.is_worse:
        beginning = "Credibly worse"
    elif comparison.is_better:
        beginning = "Credibly better"
    else:
        beginning = "No credible difference yet"
    return f"{beginning}{_numbers(comparison, settings)}.{_unevenness(uneven)}"


def _numbers(comparison: Comparison, settings: MonitoringSettings) -> str:
    before, after = comparison.success
    if before is None or after is None or comparison.difference is None:
        return ""
    evidence = max(comparison.worse, comparison.better)
    return (
        f": success {after:.3f} against {before:.3f}, difference {comparison.difference:+.3f} "
        f"({1 - settings.error:.0%} confidence sequence {comparison.low:+.3f} to {comparison.high:+.3f}; "
        f"{comparison.users[1]} against {comparison.users[0]} users; evidence {evidence:.3g}, needed "
        f"{comparison.needed:.3g})"
    )


def _unevenness(uneven: SampleRatio | None) -> str:
    if uneven is None:
        return ""
    return (
        f" The users do not split as the shares say: {uneven.observed:.1%} instead of {uneven.expected:.1%} of "
        f"{uneven.users} (chi-square, p = {uneven.p_value:.1g}), so a gain would prove nothing."
    )
