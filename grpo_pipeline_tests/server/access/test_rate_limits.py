from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grpo_pipeline.server.access import rate_limits
from grpo_pipeline.server.access.rate_limits import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 200), st.lists(st.floats(0, 5), min_size=1, max_size=400))
def test_no_minute_holds_more_than_twice_the_limit_and_no_wait_is_longer_than_its_refill(
    per_minute: int, pauses: list[float]
) -> None:
    clock, passed = Clock(), list[float]()
    limit = RateLimit(per_minute, clock)
    for pause in pauses:
        clock.now += pause
        wait = limit.wait_for("someone")
        assert 0 <= wait <= 60.0 / per_minute + 1e-6
        if not wait:
            passed.append(clock.now)
    for start in passed:
        # What was saved up for a minute, and what that minute refills.
        assert sum(start <= moment < start + 60 for moment in passed) <= 2 * per_minute + 1


def test_after_the_wait_the_next_request_passes() -> None:
    clock = Clock()
    limit = RateLimit(3, clock)
    assert [limit.wait_for("a") for _ in range(3)] == [0.0] * 3
    wait = limit.wait_for("a")
    assert wait > 0
    clock.now += wait
    assert limit.wait_for("a") == 0.0
    assert limit.wait_for("a") > 0


def test_callers_do_not_share_a_limit() -> None:
    limit = RateLimit(1, Clock())
    assert [limit.wait_for(name) == 0.0 for name in ("a", "b", "a")] == [True, True, False]


def test_who_has_not_asked_for_long_is_forgotten() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    for number in range(rate_limits.PRUNE_ABOVE):
        limit.wait_for(str(number))
    clock.now += 120
    limit.wait_for("one more")
    assert len(limit._full_at) == 1
