"""Work ahead of its consumer: in order, bounded, and ended with it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from services.dataprep.jobs.ingest import work_ahead


class Work:
    def __init__(self) -> None:
        self.begun: list[int] = []
        self.under_way = 0
        self.most = 0

    async def __call__(self, item: int) -> int:
        self.begun.append(item)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if item == 13:
                raise ValueError("13")
            await asyncio.sleep(0.001 * (item % 3))
        finally:
            self.under_way -= 1
        return item * item


async def test_results_come_in_order_and_no_more_than_the_limit_are_worked_on() -> None:
    work = Work()
    assert [each async for each in work_ahead(range(10), work, 3)] == [(n, n * n) for n in range(10)]
    assert work.most == 3


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_fewer_items_than_the_limit(count: int) -> None:
    assert [item async for item, _ in work_ahead(range(count), Work(), 5)] == list(range(count))


async def test_it_goes_on_while_the_consumer_is_busy() -> None:
    work = Work()
    async with aclosing(work_ahead(range(10), work, 2)) as results:
        await anext(results)
        await asyncio.sleep(0.02)
        assert (work.begun, work.under_way) == ([0, 1, 2], 0)


async def test_an_error_ends_the_others() -> None:
    work = Work()
    with pytest.raises(ValueError, match="13"):
        [each async for each in work_ahead([1, 13, 2, 2, 2], work, 3)]
    assert work.under_way == 0


async def test_a_consumer_that_leaves_ends_the_work() -> None:
    work = Work()
    async with aclosing(work_ahead(range(100), work, 4)) as results:
        await anext(results)
    assert work.under_way == 0
    assert len(work.begun) <= 5
