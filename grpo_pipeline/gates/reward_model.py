"""Whether a reward model may take part in the reward: only where it is better than chance and than any simple rule."""

from __future__ import annotations

from grpo_pipeline.gates.reward_fidelity import Fidelity, Share
from grpo_pipeline.reward_modelling.settings import RewardModelSettings
from grpo_pipeline.verdict import Verdict

NOT_USED = "reward model not used: "


def not_used(reason: str) -> str:
    """The sentence with which a week's manifests, checks and log say that there is no reward model."""
    return NOT_USED + reason


def reward_model_verdict(fidelity: Fidelity, settings: RewardModelSettings) -> Verdict:
    """`pass` where it counts in training; `fail` where length drives it, `inconclusive` where too little is shown.

    It must rank held-out pairs right more often than chance (Wilson's lower bound above one half), more often than
    every simple rule (that bound above the rule's accuracy, and the paired difference above zero), and its rank
    correlation with length must be small.
    """
    accuracy = fidelity.accuracy
    if accuracy.low is None or fidelity.contributors < settings.min_contributors:
        return Verdict(
            "inconclusive",
            not_used(
                f"{fidelity.pairs} held-out pairs of {fidelity.contributors} contributors, and at least "
                f"{settings.min_contributors} contributors are needed to judge it."
            ),
        )
    shown = f"it ranks {_in_words(accuracy)} of {fidelity.pairs} held-out pairs of {fidelity.contributors} contributors"
    shown += " as their users did"
    if accuracy.low <= 0.5:
        return Verdict("inconclusive", not_used(f"{shown}, which may be chance."))
    for rule in fidelity.baselines:
        if accuracy.low <= rule.accuracy or rule.advantage.low is None or rule.advantage.low <= 0:
            return Verdict(
                "inconclusive",
                not_used(f'{shown}, and the rule "{rule.name} is better" does so for {rule.accuracy:.0%}.'),
            )
    if abs(fidelity.length_correlation) >= settings.max_length_correlation:
        return Verdict(
            "fail",
            not_used(
                f"it goes by length: rank correlation {fidelity.length_correlation:+.2f}, and less than "
                f"{settings.max_length_correlation} is needed."
            ),
        )
    return Verdict(
        "pass",
        f"Reward model: {shown}, more than any simple rule; rank correlation with length "
        f"{fidelity.length_correlation:+.2f}.",
    )


def _in_words(share: Share) -> str:
    return f"{share.mean:.0%} ({share.low:.0%} to {share.high:.0%})"
