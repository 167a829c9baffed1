"""What a retry policy calls again, how long it pauses, and when it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from services.core.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.core.retry import RetryPolicy, is_transient

DOWN = ServiceUnavailable("down")
BUSY = RateLimited("full", retry_after=50)


class Call:
    """Fails with the given errors in turn, then succeeds; keeps what it was told and how long it slept."""

    def __init__(self, *errors: Exception) -> None:
        self.left: Iterator[Exception] = iter(errors)
        self.made = 0
        self.told: list[str | None] = []
        self.slept: list[float] = []

    async def __call__(self) -> str:
        self.made += 1
        for error in self.left:
            raise error
        return "well"

    async def tell(self, error: Exception | None) -> None:
        self.told.append(None if error is None else str(error))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def by(self, **fields: object) -> str:
        return await RetryPolicy(sleep=self.sleep, **fields).call(self, self.tell)


@pytest.mark.parametrize(
    "error",
    [DOWN, DeadlineExceeded("late"), ServiceError("broke off"), RaglineError("500"), RateLimited("full")],
)
async def test_a_services_fault_is_waited_for_and_told(error):
    call = Call(error, error)
    assert await call.by() == "well"
    assert call.told == [error.message, error.message, None]


@pytest.mark.parametrize("error", [InvalidRequest("wrong"), Conflict("taken"), ValueError("a bug")])
async def test_any_other_error_is_raised_at_once(error):
    call, later = Call(error), Call(DOWN, error)
    for tried in (call, later):
        with pytest.raises(type(error)) as caught:
            await tried.by()
        assert caught.value is error
    assert (call.made, call.told, later.made) == (1, [], 2)


async def test_nothing_is_told_of_a_call_that_succeeds():
    call = Call()
    assert await call.by() == "well"
    assert (call.told, call.slept) == ([], [])


async def test_pauses_double_up_to_the_longest():
    call = Call(*[DOWN] * 5)
    await call.by(first=1, longest=5)
    assert call.slept == [1, 2, 4, 5, 5]


async def test_jitter_shortens_a_pause_by_at_most_its_share():
    call = Call(*[DOWN] * 200)
    await call.by(first=4, longest=4, jitter=0.5)
    assert 2 <= min(call.slept) < 2.5
    assert 3.5 < max(call.slept) <= 4


async def test_an_error_that_says_when_is_heeded():
    call = Call(BUSY, RateLimited("full", retry_after=0.5), BUSY)
    await call.by(first=1, longest=1)
    assert call.slept == [50, 1, 50]
    call = Call(*[BUSY] * 100)
    await call.by(first=1, longest=1, longest_retry_after=10, spread=1)
    assert 10 <= min(call.slept) < 12
    assert 18 < max(call.slept) <= 20


async def test_the_number_of_errors_in_a_row_is_bounded():
    call = Call(*[ServiceError("cannot")] * 9)
    with pytest.raises(ServiceError, match=r"^cannot$"):
        await call.by(attempts=8)
    assert (call.made, len(call.slept)) == (8, 7)


async def test_an_error_that_does_not_count_begins_a_new_row():
    some = [ServiceError("cannot")] * 7
    call = Call(*some, DOWN, *some)
    assert await call.by(attempts=8, counts=lambda error: not isinstance(error, ServiceUnavailable)) == "well"


@pytest.mark.parametrize("bound", ["deadline", "pausing"])
async def test_a_bound_of_zero_calls_once(bound):
    call = Call(DOWN)
    with pytest.raises(ServiceUnavailable):
        await call.by(**{bound: 0}, give_up=lambda error, row: ValueError(row))
    assert (call.made, call.told, call.slept) == (1, [], [])


async def test_pauses_together_are_bounded_however_long_an_error_asks_for():
    call = Call(*[DOWN] * 9)
    with pytest.raises(ServiceUnavailable):
        await call.by(pausing=10, first=1, longest=30)
    assert call.slept == [1, 2, 4, 3]
    call = Call(BUSY, BUSY, BUSY)
    with pytest.raises(RateLimited):
        await call.by(pausing=3, first=1, longest_retry_after=30)
    assert call.slept == [30, 30]


async def test_the_deadline_counts_from_the_first_failure_and_has_a_last_try():
    call = Call(*[RateLimited("full", retry_after=9)] * 9)
    start = asyncio.get_running_loop().time()
    with pytest.raises(RateLimited):
        await RetryPolicy(deadline=0.1).call(call, call.tell)
    assert 0.09 <= asyncio.get_running_loop().time() - start < 5
    assert (call.made, call.told) == (2, ["full"])


async def test_without_a_last_try_a_pause_past_the_deadline_is_not_begun():
    call = Call(DOWN, BUSY)
    with pytest.raises(RateLimited):
        await call.by(deadline=20, first=1, last_try=False)
    assert (call.made, call.slept) == (2, [1])


async def test_the_last_error_can_be_made_another():
    call = Call(*[ServiceError("cannot", service="embedding")] * 3)
    with pytest.raises(RaglineError, match=r"^cannot; tried 3 times$") as caught:
        await call.by(attempts=3, give_up=lambda error, row: RaglineError(f"{error}; tried {row} times"))
    assert isinstance(caught.value.__cause__, ServiceError)


async def test_a_cancelled_call_is_not_made_again():
    call = Call(*[DOWN] * 9)
    task = asyncio.ensure_future(RetryPolicy(first=60, longest=60).call(call, call.tell))
    await asyncio.sleep(0.02)
    assert call.told == ["down"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.made == 1

    async def hang() -> None:
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await RetryPolicy().call(hang)


def test_a_services_fault_is_transient_and_no_other():
    assert is_transient(ServiceUnavailable("x"))
    assert is_transient(RaglineError("x"))
    assert not is_transient(InvalidRequest("x"))
    assert not is_transient(OSError("x"))
