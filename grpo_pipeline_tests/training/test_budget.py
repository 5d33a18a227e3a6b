import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from grpo_pipeline.training.budget_settings import BudgetSettings
from grpo_pipeline.training.caps import Spent, cap_in_the_way, cap_reached
from grpo_pipeline.training.ledger import added, read_ledger, record, week_seconds
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline.training.stopping import OVER_BUDGET, read_stopped
from grpo_pipeline_tests.training.runs import manifest, metrics, run_here, samples, tiny_config

MONDAY, SUNDAY = datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 22, 23, 59, tzinfo=UTC)


def test_the_ledger_sums_device_seconds_by_week() -> None:
    ledger = added(added(added({}, SUNDAY, 5.0), MONDAY, 2.5), datetime(2026, 11, 23, tzinfo=UTC), 1.0)
    assert ledger == {"2026-11-16": 7.5, "2026-11-23": 1.0}
    assert week_seconds(ledger, SUNDAY) == 7.5
    assert week_seconds(ledger, datetime(2026, 11, 30, tzinfo=UTC)) == 0.0


def test_runs_that_count_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda: [record(tmp_path, 1.0) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(read_ledger(tmp_path).values()) == 40.0


@pytest.mark.parametrize(
    ("caps", "more", "setting"),
    [
        ({}, 1000.0, None),
        ({"max_hours_per_run": 3.0}, 0.9, None),
        ({"max_hours_per_run": 3.0}, 1.1, "MAX_HOURS_PER_RUN"),
        ({"max_hours_per_week": 10.0}, 4.9, None),
        ({"max_hours_per_week": 10.0}, 5.1, "MAX_HOURS_PER_WEEK"),
        ({"max_cost_per_run": 12.0, "price_per_hour": 4.0}, 0.9, None),
        ({"max_cost_per_run": 12.0, "price_per_hour": 4.0}, 1.1, "MAX_COST_PER_RUN"),
        ({"max_cost_per_week": 40.0, "price_per_hour": 4.0, "max_hours_per_run": 9.0}, 5.1, "MAX_COST_PER_WEEK"),
    ],
)
def test_an_estimate_is_held_against_what_each_cap_leaves(
    caps: dict[str, float], more: float, setting: str | None
) -> None:
    said = cap_in_the_way(BudgetSettings(**caps), Spent(run_hours=2.0, week_hours=5.0), more)
    assert (said is None) == (setting is None)
    assert setting is None or f"GRPO_TRAINING__{setting}" in str(said)


def test_a_cap_is_reached_at_its_last_minute_and_not_before() -> None:
    budget = BudgetSettings(max_hours_per_week=5.0)
    assert cap_reached(budget, Spent(0.0, 4.99)) is None
    assert "5 device-hours of 5 device-hours a week" in str(cap_reached(budget, Spent(0.0, 5.0)))


def test_a_cap_on_money_needs_a_price() -> None:
    with pytest.raises(ValidationError, match="GRPO_TRAINING__PRICE_PER_HOUR"):
        BudgetSettings(max_cost_per_run=10.0)


def capped(config: RunConfig, hours: float | None) -> RunConfig:
    settings = config.settings.model_copy(update={"max_hours_per_run": hours})
    return config.model_copy(update={"settings": settings})


def spent_hours(output: Path) -> float:
    return float(json.loads((output / "checkpoints" / "spent.json").read_text())["device_seconds"]) / 3600


def test_a_run_stopped_at_its_cap_in_every_step_ends_as_one_without_a_cap(
    dataset: Path, home: Path, tmp_path: Path
) -> None:
    free = tiny_config(dataset, tmp_path / "free", home, warm_start_steps=3, steps=3, preflight=False)
    run_here(free)
    config = free.model_copy(update={"output_dir": tmp_path / "capped"})
    stops = []
    cap = 1e-4
    while not (config.output_dir / "manifest.json").exists():
        run_here(capped(config, cap))
        stopped = read_stopped(config.output_dir)
        if stopped is None:
            break
        assert stopped["outcome"] == OVER_BUDGET
        assert "GRPO_TRAINING__MAX_HOURS_PER_RUN" in stopped["reason"]
        stops.append(metrics(config.output_dir)[-1])
        cap = spent_hours(config.output_dir) + 1e-4
    assert {row["phase"] for row in stops} == {"Warm start", "GRPO"}
    assert manifest(config.output_dir)["adapter_sha256"] == manifest(free.output_dir)["adapter_sha256"]
    assert manifest(config.output_dir)["device_hours"] > manifest(free.output_dir)["device_hours"]
    assert metrics(config.output_dir) == metrics(free.output_dir)
    assert samples(config.output_dir).equals(samples(free.output_dir))
    assert not (config.output_dir / "stopped.json").exists()


def test_an_estimate_over_the_cap_stops_the_run_before_grpo(dataset: Path, home: Path, tmp_path: Path) -> None:
    config = tiny_config(dataset, tmp_path / "policy", home, warm_start_steps=1, epochs=1e6, steps=100_000)
    said = run_here(capped(config, 0.3))
    stopped = read_stopped(config.output_dir)
    assert stopped is not None
    assert stopped["outcome"] == OVER_BUDGET
    assert stopped["reason"] == said[-1]
    assert "Training would take about" in said[-1]
    assert "GRPO_TRAINING__MAX_HOURS_PER_RUN" in said[-1]
    assert stopped["preflight"]["grpo_after_warm_start"]["steps"] == 100_000
    assert {row["phase"] for row in metrics(config.output_dir)} == {"Warm start"}
    assert (config.output_dir / "checkpoints" / "warm_start" / "adapter").exists()
