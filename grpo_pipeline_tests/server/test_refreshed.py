from __future__ import annotations

import asyncio

import pytest

from grpo_pipeline.server.refreshed import Refreshed


class Source:
    """A number that is one higher at each read, and takes a moment; it can be made to fail."""

    def __init__(self) -> None:
        self.reads = 0
        self.fails = False

    async def read(self) -> int:
        self.reads += 1
        number = self.reads
        await asyncio.sleep(0.02)
        if self.fails:
            raise ConnectionError("the database is gone")
        return number


def test_many_who_ask_at_once_wait_for_one_read() -> None:
    async def ask() -> list[int]:
        value = Refreshed(source.read, 60)
        return [*await asyncio.gather(*(value.get() for _ in range(50))), await value.get()]

    source = Source()
    assert asyncio.run(ask()) == [1] * 51
    assert source.reads == 1


def test_a_read_that_fails_fails_for_all_who_wait_and_is_tried_again_by_the_next() -> None:
    async def ask() -> None:
        value = Refreshed(source.read, 60)
        source.fails = True
        found = await asyncio.gather(*(value.get() for _ in range(50)), return_exceptions=True)
        assert [type(one) for one in found] == [ConnectionError] * 50
        assert source.reads == 1
        source.fails = False
        assert await value.get() == 2

    source = Source()
    asyncio.run(ask())


def test_one_who_gives_up_does_not_end_the_read_for_the_others() -> None:
    async def ask() -> None:
        value = Refreshed(source.read, 60)
        first = asyncio.create_task(value.get())
        second = asyncio.create_task(value.get())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second == 1

    source = Source()
    asyncio.run(ask())


def test_what_was_being_read_when_something_changed_is_not_kept() -> None:
    async def ask() -> None:
        value = Refreshed(source.read, 60)
        before = asyncio.create_task(value.get())
        await asyncio.sleep(0.01)
        value.forget()
        assert await value.get() == 2
        assert await before == 1
        assert await value.get() == 2

    source = Source()
    asyncio.run(ask())


def test_nothing_is_kept_where_the_time_is_zero() -> None:
    async def ask() -> list[int]:
        value = Refreshed(source.read, 0)
        return [await value.get() for _ in range(3)]

    source = Source()
    assert asyncio.run(ask()) == [1, 2, 3]
