"""Whether training has reached its caps, or would by an estimate: in hours or money, a run or a week."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grpo_pipeline.training.budget_settings import BudgetSettings


@dataclass(frozen=True)
class Spent:
    """Device-hours used: by this run in all its attempts, and by all training of the calendar week."""

    run_hours: float
    week_hours: float


@dataclass(frozen=True)
class _Cap:
    setting: str
    scope: str
    limit: float
    used: float
    more: float
    unit: str

    def says(self, amount: float) -> str:
        return f"{amount:.3g}{self.unit}"


def _caps(budget: BudgetSettings, spent: Spent, more_hours: float) -> Iterator[_Cap]:
    scopes = (("run", spent.run_hours), ("week", spent.week_hours))
    for scope, used in scopes:
        limits = {"hours": getattr(budget, f"max_hours_per_{scope}"), "cost": getattr(budget, f"max_cost_per_{scope}")}
        for kind, limit in limits.items():
            if limit is None:
                continue
            rate = (budget.price_per_hour or 0.0) if kind == "cost" else 1.0
            unit = "" if kind == "cost" else " device-hours"
            setting = f"GRPO_TRAINING__MAX_{kind.upper()}_PER_{scope.upper()}"
            yield _Cap(setting, scope, limit, used * rate, more_hours * rate, unit)


def cap_reached(budget: BudgetSettings, spent: Spent) -> str | None:
    """One sentence about the first cap that is used up, or None."""
    for cap in _caps(budget, spent, 0.0):
        if cap.used >= cap.limit:
            return (
                f"Training stopped at its cap: {cap.says(cap.used)} of {cap.says(cap.limit)} a {cap.scope} are used "
                f"({cap.setting}). The last checkpoint is kept: raise the cap and run again, which goes on from there."
            )
    return None


def cap_in_the_way(budget: BudgetSettings, spent: Spent, more_hours: float) -> str | None:
    """One sentence about the first cap that so many more device-hours would exceed, or None."""
    for cap in _caps(budget, spent, more_hours):
        if cap.used + cap.more > cap.limit:
            return (
                f"Training would take about {cap.says(cap.more)} more, and {cap.says(cap.used)} are used: that is over "
                f"the cap of {cap.says(cap.limit)} a {cap.scope} ({cap.setting}). Raise the cap and run again (what is "
                "trained by now is kept), or make the training smaller (GRPO_TRAINING__STEPS)."
            )
    return None
