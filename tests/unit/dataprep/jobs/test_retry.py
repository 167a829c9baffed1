"""What is tried again, how often, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from services.core.context import seconds_left, within_deadline
from services.core.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.dataprep.jobs import retry
from services.dataprep.jobs.retry import ANSWERED_ATTEMPTS, ServiceRetries


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(retry, "LONGEST_SECONDS", 0.002)


class Call:
    def __init__(self, *errors: RaglineError) -> None:
        self.left: Iterator[RaglineError] = iter(errors)
        self.made = 0
        self.told: list[str | None] = []

    async def __call__(self) -> str:
        self.made += 1
        for error in self.left:
            raise error
        return "well"

    async def waiting(self, error: RaglineError | None) -> None:
        self.told.append(error and error.message)


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailable("down"),
        DeadlineExceeded("late"),
        ServiceError("broke off"),
        RaglineError("500"),
        RateLimited("full"),
    ],
)
async def test_the_services_fault_is_waited_for(error: RaglineError) -> None:
    call = Call(error, error)
    assert await ServiceRetries(60, call.waiting).call(call) == "well"
    assert call.made == 3
    assert call.told == [error.message, error.message, None]


@pytest.mark.parametrize("error", [InvalidRequest("wrong"), Conflict("another model")])
async def test_the_callers_fault_is_not(error: RaglineError) -> None:
    call = Call(error)
    with pytest.raises(type(error)):
        await ServiceRetries(60, call.waiting).call(call)
    later = Call(ServiceUnavailable("down"), error)
    with pytest.raises(type(error)):
        await ServiceRetries(60, later.waiting).call(later)
    assert (call.made, call.told, later.made) == (1, [], 2)


async def test_without_time_to_retry_it_is_tried_once() -> None:
    call = Call(ServiceUnavailable("down"))
    with pytest.raises(ServiceUnavailable, match=r"^down$"):
        await ServiceRetries(0, call.waiting).call(call)
    assert (call.made, call.told) == (1, [])


async def test_a_service_that_is_there_and_fails_is_not_asked_for_ever() -> None:
    call = Call(*[ServiceError("cannot", service="embedding")] * 100)
    with pytest.raises(ServiceError, match="cannot; tried 8 times in a row") as caught:
        await ServiceRetries(60, call.waiting).call(call)
    assert (call.made, caught.value.service) == (ANSWERED_ATTEMPTS, "embedding")


async def test_answers_count_in_a_row_only() -> None:
    some = [ServiceError("cannot")] * (ANSWERED_ATTEMPTS - 1)
    call = Call(*some, ServiceUnavailable("down"), *some)
    assert await ServiceRetries(60, call.waiting).call(call) == "well"


async def test_a_service_that_says_when_is_asked_then() -> None:
    call = Call(RateLimited("full", retry_after=0.2))
    start = asyncio.get_running_loop().time()
    await ServiceRetries(60, call.waiting).call(call)
    assert asyncio.get_running_loop().time() - start >= 0.19


async def test_a_call_that_is_late_may_take_twice_as_long_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retry, "DEFAULT_SECONDS", 0.3)
    call = Call()
    limits: list[float | None] = []

    async def slow() -> str:
        limits.append(seconds_left())
        async with within_deadline("embedding", service="embedding"):
            await asyncio.sleep(0.8)
        return "well"

    assert await ServiceRetries(60, call.waiting).call(slow) == "well"
    assert limits == [pytest.approx(seconds, abs=0.2 * seconds) for seconds in (0.3, 0.6, 1.2)]
    assert seconds_left() is None  # what follows has no deadline of a call that is over
