"""The queue before the engine, with an engine whose passes end when the test says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from services.core.errors import RateLimited, ServiceError, ServiceUnavailable
from services.embedding.backends.openvino.batcher import Batcher, Limits

DIM = 4
QUERY = [[7] * 8]
LARGE = [[1] * 64] * 40


class Engine:
    """A token's state is its id, so a text's mean is known; each pass needs one release of the gate."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.passes: list[NDArray[np.int64]] = []
        self.broken = False

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        self.passes.append(ids)
        self.gate.acquire(timeout=30)
        if self.broken:
            raise RuntimeError("out of cores")
        return np.repeat(ids[:, :, None], DIM, axis=2).astype(np.float32)

    def let(self, count: int = 1000) -> None:
        self.gate.release(count)


def mean(states: NDArray[np.float32]) -> NDArray[np.float32]:
    return states.mean(axis=0)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
async def batcher(engine: Engine) -> AsyncIterator[Batcher]:
    batcher = Batcher([engine], mean, Limits(batch_tokens=256, queue_tokens=4096, wait=0))
    yield batcher
    engine.let()
    await asyncio.to_thread(batcher.close)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a thread changes it
            await asyncio.sleep(0.002)


async def begun(batcher: Batcher, engine: Engine, texts: list[list[int]], passes: int) -> asyncio.Task:
    task = asyncio.create_task(batcher.run(texts, keep_states=False))
    await until(lambda: len(engine.passes) >= passes)
    return task


async def test_vectors_and_states_come_in_the_order_of_the_texts(batcher: Batcher, engine: Engine) -> None:
    engine.let()
    texts = [[number] * (1 + number * 5 % 11) for number in range(1, 60)]
    vectors, states = await batcher.run(texts, keep_states=True)
    np.testing.assert_array_equal(vectors[:, 0], range(1, 60))
    assert [len(rows) for rows in states] == [len(text) for text in texts]
    assert (await batcher.run(texts[:1], keep_states=False))[1] == []
    load = batcher.load()
    assert (load.texts, load.waiting_texts, load.waiting_tokens) == (60, 0, 0)


async def test_a_query_waits_for_the_pass_in_progress_only(batcher: Batcher, engine: Engine) -> None:
    large = await begun(batcher, engine, LARGE, passes=1)
    query = asyncio.create_task(batcher.run(QUERY, keep_states=False))
    await until(lambda: batcher.load().waiting_texts == 40 - 4 + 1)
    engine.let(2)  # the pass in progress, and the query's own
    vectors, _ = await query
    assert vectors[0, 0] == 7
    assert [len(ids) for ids in engine.passes[:2]] == [4, 1]
    assert not large.done()
    engine.let()
    assert len((await large)[0]) == 40


async def test_requests_that_wait_share_a_pass(batcher: Batcher, engine: Engine) -> None:
    first = await begun(batcher, engine, LARGE[:4], passes=1)
    queries = [asyncio.create_task(batcher.run(QUERY, keep_states=False)) for _ in range(8)]
    await until(lambda: batcher.load().waiting_texts == 8)
    engine.let()
    await asyncio.gather(first, *queries)
    assert [len(ids) for ids in engine.passes] == [4, 8]


async def test_an_abandoned_request_leaves_the_queue(batcher: Batcher, engine: Engine) -> None:
    large = await begun(batcher, engine, LARGE, passes=1)
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large
    assert batcher.load().waiting_texts == 0
    engine.let()
    await batcher.run(QUERY, keep_states=False)
    assert [len(ids) for ids in engine.passes] == [4, 1]


async def test_a_full_queue_refuses_and_says_when_to_come_back(batcher: Batcher, engine: Engine) -> None:
    running = [await begun(batcher, engine, LARGE, passes=1)]
    running.append(asyncio.create_task(batcher.run(LARGE[:20], keep_states=False)))
    await until(lambda: batcher.load().waiting_texts == 36 + 20)
    with pytest.raises(RateLimited, match="EMBEDDING_QUEUE_TOKENS") as refused:
        await batcher.run(LARGE, keep_states=False)
    assert (refused.value.retry_after or 0) >= 1
    engine.let()
    await asyncio.gather(*running)
    await batcher.run(LARGE, keep_states=False)


async def test_an_empty_queue_takes_a_request_larger_than_itself(batcher: Batcher, engine: Engine) -> None:
    engine.let()
    vectors, _ = await batcher.run(LARGE * 3, keep_states=False)
    assert len(vectors) == 120


async def test_a_failing_engine_fails_the_pass_and_not_the_service(batcher: Batcher, engine: Engine) -> None:
    engine.broken = True
    engine.let()
    with pytest.raises(ServiceError, match="out of cores"):
        await batcher.run(QUERY, keep_states=False)
    engine.broken = False
    assert len((await batcher.run(QUERY, keep_states=False))[0]) == 1


async def test_closing_answers_those_that_wait(engine: Engine) -> None:
    batcher = Batcher([engine], mean, Limits(batch_tokens=256, queue_tokens=4096, wait=0))
    large = await begun(batcher, engine, LARGE, passes=1)
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    await until(lambda: batcher._closed)
    engine.let()
    await closing
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        await large
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        await batcher.run(QUERY, keep_states=False)


async def test_an_idle_engine_waits_for_a_fuller_pass_where_asked_to(engine: Engine) -> None:
    batcher = Batcher([engine], mean, Limits(batch_tokens=256, queue_tokens=4096, wait=20))
    engine.let()
    await asyncio.gather(*(batcher.run([[5] * 64], keep_states=False) for _ in range(4)))
    assert [len(ids) for ids in engine.passes] == [4]
    await asyncio.to_thread(batcher.close)


async def test_streams_run_passes_side_by_side(engine: Engine) -> None:
    batcher = Batcher([engine, engine], mean, Limits(batch_tokens=256, queue_tokens=4096, wait=0))
    large = await begun(batcher, engine, LARGE, passes=2)
    query = asyncio.create_task(batcher.run(QUERY, keep_states=False))
    await until(lambda: batcher.load().waiting_texts == 40 - 2 * 4 + 1)
    engine.let(1)  # either of the two passes in progress
    await until(lambda: len(engine.passes) == 3)
    assert len(engine.passes[2]) == 1
    engine.let()
    vectors, _ = await large
    assert len((await query)[0]) == 1
    np.testing.assert_array_equal(vectors, np.ones((40, DIM)))
    await asyncio.to_thread(batcher.close)
