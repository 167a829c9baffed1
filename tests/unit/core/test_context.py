from __future__ import annotations

import asyncio

import pytest

from services.core import context
from services.core.errors import DeadlineExceeded


@pytest.mark.parametrize("offered", [None, "", "a b", "x" * 129, "naïve", "a\nb"])
def test_an_unfit_request_id_is_replaced(offered: str | None) -> None:
    assert context.new_request_id(offered) != offered


def test_a_fit_request_id_is_kept() -> None:
    assert context.new_request_id("abc-123") == "abc-123"


async def test_a_deadline_only_gets_sooner() -> None:
    context.start_request("r", 10)
    context.set_deadline(20)
    assert 9 < (context.seconds_left() or 0) <= 10
    context.set_deadline(1)
    assert (context.seconds_left() or 0) <= 1
    context.start_request("next", 10)
    assert (context.seconds_left() or 0) > 9


async def test_work_past_the_deadline_is_cut_and_named() -> None:
    context.start_request("r", 0.01)
    with pytest.raises(DeadlineExceeded, match="the answer") as cut:
        async with context.within_deadline("the answer", service="gateway"):
            await asyncio.sleep(5)
    assert cut.value.service == "gateway"
