"""Settings of the A/B test and of what it may do by itself, each also a variable `GRPO_MONITORING__<NAME>`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MonitoringSettings(BaseModel):
    """How users' verdicts on versions in use are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    error: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Most probable error of one comparison, over all looks at it: saying that versions differ which "
        "do not. Half of it for each direction.",
    )
    settle_hours: float = Field(
        24,
        ge=0,
        le=24 * 14,
        description="Hours of votes, from a user's first one on, that make his verdict; he counts once they are over.",
    )
    min_users: int = Field(20, ge=2, description="Users of each version below which nothing is decided.")
    ratio_error: float = Field(
        0.001,
        gt=0,
        lt=0.5,
        description="Probability (chi-square) of the split of users below which it does not fit the shares set.",
    )
    rollback_challenger: bool = Field(
        True, description="End a challenger's share of the traffic once it is credibly worse than the champion."
    )
    rollback_champion: bool = Field(
        False, description="Roll a fresh champion back once it is credibly worse than the one before it."
    )
    fresh_weeks: int = Field(4, ge=1, description="Weeks for which a champion is compared with the one before it.")
    weeks_shown: int = Field(12, ge=1, le=104, description="Weeks in plots and on the page.")
