from __future__ import annotations

from datetime import UTC, datetime

from grpo_pipeline.partitions import weekly_partitions
from grpo_pipeline.weeks import Week


def test_weeks_start_on_mondays_in_utc_and_are_dagsters_partitions() -> None:
    weekly = weekly_partitions("2026-01-05")
    keys = weekly.get_partition_keys(current_time=datetime(2026, 2, 2, tzinfo=UTC))
    assert keys == ["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"]
    for key in keys:
        window = weekly.time_window_for_partition_key(key)
        assert (window.start, window.end) == (Week(key).start, Week(key).end)
