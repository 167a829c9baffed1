"""What counts as silence, whose time it is, and who may cancel whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from pipelines.limits import StageLimits, limit_waits, within_limit
from services.core.clients.generation import ChatDelta
from services.core.context import set_deadline, start_request, within_deadline
from services.core.errors import DeadlineExceeded

LIMITS = StageLimits(first_token=0.5, between_tokens=0.5)
TEXT = ChatDelta(model="m", content="x")
EMPTY = ChatDelta(model="m")


class Engine:
    """Yields these deltas; a number is a wait in seconds."""

    def __init__(self, *steps: ChatDelta | float) -> None:
        self.steps: Sequence[ChatDelta | float] = steps
        self.is_closed = False

    async def deltas(self) -> AsyncGenerator[ChatDelta]:
        try:
            for step in self.steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.is_closed = True


async def read(engine: Engine, limits: StageLimits = LIMITS, pause: float = 0) -> int:
    count = 0
    async for _ in limit_waits(engine.deltas(), limits):
        count += 1
        await asyncio.sleep(pause)
    return count


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((60.0,), "first token"),
        ((EMPTY, 60.0), "first token"),
        ((TEXT, 60.0), "between tokens"),
        ((TEXT, *[step for _ in range(100) for step in (EMPTY, 0.05)], TEXT), "between tokens"),
        (tuple(step for _ in range(100) for step in (EMPTY, 0.05)), "first token"),
    ],
)
async def test_silence_has_an_end(steps: Sequence[ChatDelta | float], words: str) -> None:
    engine = Engine(*steps)
    with pytest.raises(DeadlineExceeded, match=f"{words} had no answer within 0.5 s"):
        await asyncio.wait_for(read(engine), 30)
    assert engine.is_closed
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_pauses_shorter_than_the_limit_add_up_to_more() -> None:
    assert await read(Engine(*[step for _ in range(8) for step in (0.1, TEXT)])) == 8


async def test_what_a_slow_reader_takes_does_not_count() -> None:
    assert await read(Engine(TEXT, TEXT, TEXT), pause=0.6) == 3


async def test_a_slow_reader_does_not_hide_a_silent_engine() -> None:
    with pytest.raises(DeadlineExceeded, match="between tokens"):
        await asyncio.wait_for(read(Engine(TEXT, TEXT, 60.0), pause=0.6), 30)


async def test_a_cancellation_from_elsewhere_passes() -> None:
    engine = Engine(TEXT, 60.0)
    task = asyncio.create_task(read(engine))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.is_closed


async def test_a_timeout_around_it_is_its_own() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await read(Engine(60.0))


async def test_nothing_is_cancelled_after_the_end() -> None:
    assert await read(Engine(TEXT)) == 1
    await asyncio.sleep(0.7)


async def test_one_that_is_left_early_cancels_nobody() -> None:
    items = limit_waits(Engine(TEXT, 60.0).deltas(), LIMITS)
    await anext(items)
    await items.aclose()
    await asyncio.sleep(0.7)


async def test_the_deadline_comes_first_and_the_stage_is_named() -> None:
    start_request("r", 0.2)
    with pytest.raises(DeadlineExceeded, match="generation, first token did not finish before the request's"):
        await read(Engine(60.0), StageLimits())


async def test_a_deadline_that_strikes_first_names_the_stage_too() -> None:
    """However late the event loop is, and whichever timer rings first."""

    async def embed_late() -> None:
        async with within_deadline("the answer", service="gateway"):
            start_request("r", 60)
            async with within_limit("embedding", 10, "EMBEDDING_SECONDS"):
                await asyncio.sleep(60)

    start_request("r", 0.2)
    with pytest.raises(DeadlineExceeded, match="in the stage embedding"):
        await embed_late()


async def test_serial_answers_share_the_deadline() -> None:
    assert StageLimits().share_deadline(4) == StageLimits()
    start_request("r", 100)
    shared = StageLimits(first_token=90, between_tokens=10).share_deadline(4)
    assert 24 < shared.first_token <= 25
    assert shared.between_tokens == 10
    set_deadline(0)
    assert StageLimits().share_deadline(2).first_token == 0
