"""What training may cost; part of the training settings, and never of what identifies a policy."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class BudgetSettings(BaseModel):
    """Price and caps; a device is a GPU, or a process where there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    price_per_hour: float | None = Field(
        None, gt=0, description="Price of one device for one hour, in your currency; unset: no cost is shown."
    )
    max_hours_per_run: float | None = Field(None, gt=0, description="Most device-hours of one training run.")
    max_hours_per_week: float | None = Field(None, gt=0, description="Most device-hours of all training a week.")
    max_cost_per_run: float | None = Field(None, gt=0, description="Most money for one training run.")
    max_cost_per_week: float | None = Field(None, gt=0, description="Most money for all training a week.")

    @model_validator(mode="after")
    def _money_needs_a_price(self) -> Self:
        if self.price_per_hour is None and (self.max_cost_per_run or self.max_cost_per_week):
            raise ValueError("a cap on the cost needs a price: set price_per_hour (GRPO_TRAINING__PRICE_PER_HOUR) too")
        return self
