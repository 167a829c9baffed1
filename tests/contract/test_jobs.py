"""Every job store against its protocol: what is durable, who may take what, what a lost ticket can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.core.addresses import StoreAddress
from services.core.backends import load, names
from services.core.errors import NotFound, RaglineError, RateLimited, ServiceUnavailable
from services.core.wire.dataprep import Job, JobFile, Status
from services.dataprep.backends.redis.client import RedisClient
from services.dataprep.jobs.store import (
    JOBS_URL,
    PACKAGE,
    ClaimedFile,
    IngestOrder,
    JobLimits,
    JobStore,
    UploadedFile,
    fail_file,
)
from services.dataprep.parsing.chunking import Chunking
from tests.redis_server import RedisServer

LEASE = "2"
LIMITS = JobLimits(waiting=8, kept=3, kept_seconds=3600)
ORDER = IngestOrder("c", Chunking(100, 10), patient=True, trace="t")
SOON = 5.0

Open = Callable[..., Awaitable[JobStore]]


async def soon(work: Awaitable[object]) -> object:
    async with asyncio.timeout(SOON):
        return await work


async def ticket(store: JobStore) -> ClaimedFile:
    async with asyncio.timeout(SOON):
        return await store.take()


async def nothing(store: JobStore) -> bool:
    """Whether there is no file to take."""
    taking = asyncio.ensure_future(store.take())
    done, _ = await asyncio.wait({taking}, timeout=0.3)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    return not done


@pytest.fixture(params=names(PACKAGE))
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def opened(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    """Opens the store, each time the same one; `close` of an earlier one first, as a restart would be."""
    monkeypatch.setenv("JOBS_LEASE_SECONDS", LEASE)
    url = f"sqlite://{tmp_path}/jobs"
    if backend == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.flush()
        url = server.url
    async with AsyncExitStack() as stack:

        async def open_(limits: JobLimits = LIMITS) -> JobStore:
            store: JobStore = await load(PACKAGE, backend).create(StoreAddress.parse(JOBS_URL, url), limits)  # type: ignore[attr-defined]
            closed = False

            async def close(real: Callable[[], Awaitable[None]] = store.close) -> None:
                nonlocal closed
                if not closed:
                    closed = True
                    await real()

            store.close = close  # type: ignore[method-assign]
            stack.push_async_callback(close)
            return store

        yield open_


@pytest.fixture
async def store(opened: Open) -> JobStore:
    return await opened()


async def submit(store: JobStore, *files: str, order: IngestOrder = ORDER, refused: str = "") -> Job:
    """Files are `name=content`; the document's id is the name."""
    async with store.incoming() as folder:
        received = []
        for number, each in enumerate(files):
            name, _, content = each.partition("=")
            path = folder / str(number)
            path.write_bytes(content.encode())
            file = JobFile(name=name, document_id=name, size=len(content))
            if name == refused:
                file = fail_file(file, NotFound("no"))
            received.append(UploadedFile(file, f"sha of {content}", path))
        return await store.submit(order, received)


def ended(ticket: ClaimedFile, status: Status = "done") -> JobFile:
    return ticket.file.model_copy(update={"status": status, "outcome": "ingested", "passages": 3})


async def test_a_job_from_its_submission_to_its_end(store: JobStore) -> None:
    job = await submit(store, "a=one", "b=two")
    assert [file.name for file in job.files] == ["a", "b"]
    assert (job.status, job.collection, job.finished_at) == ("queued", "c", None)
    assert await store.waiting() == 2
    first, second = await ticket(store), await ticket(store)
    assert (first.order, first.file.attempts, first.sha256) == (ORDER, 1, "sha of one")
    async with store.bytes_of(second) as path:
        assert path.read_bytes() == b"two"
    await store.report(first, first.file.model_copy(update={"passages": 3, "embedded": 2}))
    now = await store.get(job.id)
    assert (now.status, now.files[0].embedded) == ("running", 2)
    await store.finish(first, ended(first))
    after = await store.finish(second, ended(second, "failed"))
    assert after == await store.get(job.id)
    assert after is not None
    assert (after.status, [file.status for file in after.files]) == ("done", ["done", "failed"])
    assert after.finished_at is not None
    assert await store.waiting() == 0
    assert await nothing(store)


async def test_a_file_is_taken_once(store: JobStore) -> None:
    await submit(store, *(f"{number}=x" for number in range(8)))
    taken = await asyncio.gather(*(ticket(store) for _ in range(8)))
    assert len({each.index for each in taken}) == 8
    assert await nothing(store)


async def test_the_files_of_a_document_are_taken_in_their_order(store: JobStore) -> None:
    jobs = [await submit(store, f"a={number}") for number in range(3)]
    await submit(store, "a=elsewhere", order=IngestOrder("other", Chunking(100, 10)))
    order = []
    both = [await ticket(store), await ticket(store)]
    assert {each.order.collection for each in both} == {"c", "other"}
    assert await nothing(store)
    held = next(each for each in both if each.order.collection == "c")
    for _ in range(2):
        order.append(held.job)
        await store.finish(held, ended(held))
        held = await ticket(store)
    assert [*order, held.job] == [job.id for job in jobs]


async def test_one_that_waits_for_work_is_woken(store: JobStore) -> None:
    taking = asyncio.ensure_future(store.take())
    await asyncio.sleep(0.05)
    await submit(store, "a=1")
    assert await soon(taking)


async def test_a_released_file_is_taken_again(store: JobStore) -> None:
    await submit(store, "a=1")
    first = await ticket(store)
    await store.release(first)
    assert (await store.get(first.job)).status == "queued"
    again = await ticket(store)
    assert (again.index, again.file.attempts) == (first.index, 2)
    assert not again.cancelled


async def test_what_is_accepted_survives_a_restart(opened: Open) -> None:
    store = await opened()
    job = await submit(store, "a=one", "b=two", "c=three")
    first = await ticket(store)
    await store.finish(first, ended(first))
    await ticket(store)  # and never finished: the process is gone
    await store.close()
    store = await opened()
    known = await store.get(job.id)
    assert known.files[0] == ended(first)
    assert not known.finished
    rest = [await ticket(store), await ticket(store)]
    assert {each.index for each in rest} == {1, 2}
    for each in rest:
        async with store.bytes_of(each) as path:
            assert path.read_bytes() == {1: b"two", 2: b"three"}[each.index]
        await store.finish(each, ended(each))
    assert (await store.get(job.id)).status == "done"


async def test_bytes_are_dropped_when_the_file_has_finished(store: JobStore) -> None:
    await submit(store, "a=one", "b=two")
    held = await ticket(store)
    await store.finish(held, ended(held))
    with pytest.raises((FileNotFoundError, RaglineError)):
        async with store.bytes_of(held) as path:
            path.read_bytes()


async def test_a_file_that_was_refused_is_recorded_only(store: JobStore) -> None:
    job = await submit(store, "bad=x", "good=y", refused="bad")
    assert [file.status for file in job.files] == ["failed", "queued"]
    held = await ticket(store)
    assert held.index == 1
    await store.finish(held, ended(held))
    assert await nothing(store)
    assert (await store.get(job.id)).status == "done"


async def test_a_full_queue_refuses(store: JobStore) -> None:
    await submit(store, *(f"{number}=x" for number in range(7)))
    with pytest.raises(RateLimited, match="DATAPREP_QUEUE") as caught:
        await submit(store, "x=1", "y=2")
    assert caught.value.retry_after
    await submit(store, "x=1")
    with pytest.raises(RateLimited):
        async with store.incoming():
            raise AssertionError("nothing is received")
    held = await ticket(store)
    await store.finish(held, ended(held))
    await submit(store, "y=2")
    assert len(await store.jobs(None, 10)) == 3


async def test_cancelling_what_waits_and_what_runs(store: JobStore) -> None:
    job = await submit(store, "a=1", "b=2")
    held = await ticket(store)
    holding = asyncio.ensure_future(store.hold(held))
    now = await store.cancel(job.id)
    assert [file.status for file in now.files] == ["running", "cancelled"]
    error = now.files[1].error
    assert error is not None
    assert "cancelled" in error.message
    assert await soon(holding) == "cancelled"
    assert await nothing(store)
    after = await store.finish(held, ended(held, "cancelled"))
    assert after is not None
    assert (after.status, await store.cancel(job.id)) == ("cancelled", after)


async def test_a_file_that_was_tried_before_is_cancelled_by_a_worker(store: JobStore) -> None:
    """It may have left something behind."""
    job = await submit(store, "a=1")
    await store.release(await ticket(store))
    assert (await store.cancel(job.id)).status == "cancelled"
    held = await ticket(store)
    assert held.cancelled
    await store.finish(held, ended(held, "cancelled"))
    assert await nothing(store)


async def test_a_cancelled_file_lets_the_next_one_of_its_document_go(store: JobStore) -> None:
    first, second = await submit(store, "a=1"), await submit(store, "a=2")
    await store.cancel(first.id)
    assert (await ticket(store)).job == second.id


async def test_cancelling_a_documents_files_waits_for_the_running_one(store: JobStore) -> None:
    await submit(store, "a=1", "b=1")
    await submit(store, "a=2")
    held = await ticket(store)
    assert held.file.name == "a"
    cancelling = asyncio.ensure_future(store.cancel_documents("c", "a", "it was deleted"))
    assert await soon(store.hold(held)) == "cancelled"
    assert not cancelling.done()
    await store.finish(held, ended(held, "cancelled"))
    assert await soon(cancelling) == 2
    assert (await ticket(store)).file.name == "b"
    assert await store.cancel_documents("c", "absent", "") == 0
    assert await store.cancel_documents("other", None, "") == 0


async def test_changes_are_told_until_the_end(store: JobStore) -> None:
    job = await submit(store, "a=1")
    seen: list[Job] = []

    async def watch() -> None:
        seen.extend([now async for now in store.changes(job.id)])

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(0.1)
    held = await ticket(store)
    await asyncio.sleep(0.1)
    await store.report(held, held.file.model_copy(update={"embedded": 5}))
    await asyncio.sleep(0.1)
    await store.finish(held, ended(held))
    await soon(watching)
    assert seen[0] == job
    assert seen[-1] == await store.get(job.id)
    assert 5 in [now.files[0].embedded for now in seen]
    assert [now async for now in store.changes(job.id)] == [seen[-1]]


async def test_jobs_are_listed_the_newest_first(store: JobStore) -> None:
    jobs = [await submit(store, f"{number}=x") for number in range(3)]
    assert [job.id for job in await store.jobs(None, 2)] == [jobs[2].id, jobs[1].id]
    held = await ticket(store)
    await store.finish(held, ended(held))
    assert [job.id for job in await store.jobs("done", 9)] == [held.job]
    assert {job.id for job in await store.jobs("queued", 9)} == {job.id for job in jobs} - {held.job}


async def test_finished_jobs_are_forgotten_beyond_those_to_keep(store: JobStore) -> None:
    jobs = [await submit(store, f"{number}=x") for number in range(5)]
    for _ in jobs:
        held = await ticket(store)
        await store.finish(held, ended(held))
    assert [job.id for job in await store.jobs(None, 9)] == [job.id for job in reversed(jobs[2:])]
    for unknown in (jobs[0].id, "never"):
        with pytest.raises(NotFound, match="no job"):
            await store.get(unknown)
    with pytest.raises(NotFound):
        await store.cancel("never")
    with pytest.raises(NotFound):
        [now async for now in store.changes("never")]


async def test_finished_jobs_are_forgotten_with_time(opened: Open) -> None:
    store = await opened(JobLimits(waiting=8, kept=9, kept_seconds=0))
    job = await submit(store, "a=x")
    held = await ticket(store)
    await store.finish(held, ended(held))
    await asyncio.sleep(0.01)
    await submit(store, "b=x")
    held = await ticket(store)
    await store.finish(held, ended(held))
    with pytest.raises(NotFound):
        await store.get(job.id)


async def test_a_second_owner_is_refused_or_shares(backend: str, opened: Open) -> None:
    store = await opened()
    await submit(store, "a=1", "b=2")
    if backend == "sqlite":
        with pytest.raises(ServiceUnavailable, match="JOBS_URL"):
            await opened()
        return
    other = await opened()
    first, second = await ticket(store), await ticket(other)
    assert {first.index, second.index} == {0, 1}
    await other.cancel(first.job)  # by the one that does not have it
    assert await soon(store.hold(first)) == "cancelled"


@pytest.mark.parametrize("backend", ["redis"], indirect=False)
async def test_a_worker_that_is_gone_loses_its_file(backend: str, opened: Open) -> None:
    store, other = await opened(), await opened()
    await submit(store, "a=1")
    await submit(store, "a=2")
    dead = await ticket(store)  # and does not hold it
    rescued = await ticket(other)
    assert (rescued.job, rescued.file.attempts) == (dead.job, 2)
    assert await soon(store.hold(dead)) == "taken"
    assert await store.finish(dead, ended(dead)) is None
    await store.report(dead, dead.file.model_copy(update={"embedded": 99}))
    await store.release(dead)
    now = await store.get(dead.job)
    assert (now.status, now.files[0].embedded) != ("done", 99)
    holding = asyncio.ensure_future(other.hold(rescued))
    assert await nothing(store), "the second file of the document waits"
    await asyncio.sleep(1.5 * float(LEASE))
    assert await nothing(store)
    assert await other.finish(rescued, ended(rescued))
    assert await soon(holding) == "taken"
    assert (await ticket(store)).job != dead.job


@pytest.mark.parametrize("backend", ["redis"], indirect=False)
async def test_a_submission_whose_reply_was_lost_is_taken_once(
    backend: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client sends the script again where the connection breaks."""
    store = await opened()
    run = RedisClient.run

    async def twice(self: RedisClient, script: str, *arguments: str) -> object:
        await run(self, script, *arguments)
        return await run(self, script, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RedisClient, "run", twice)
        await submit(store, "a=1", "b=2")
    for _ in range(2):
        held = await ticket(store)
        await store.finish(held, ended(held))
    assert await nothing(store)
    assert [job.status for job in await store.jobs(None, 9)] == ["done"]


@pytest.mark.parametrize("backend", ["redis"], indirect=False)
async def test_what_redis_has_acknowledged_survives_its_kill(
    backend: str, opened: Open, redis_server: RedisServer
) -> None:
    store = await opened()
    job = await submit(store, "a=one", "b=two")
    held = await ticket(store)
    holding = asyncio.ensure_future(store.hold(held))
    redis_server.kill()
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        await store.get(job.id)
    with pytest.raises(ServiceUnavailable):
        await store.ready()
    redis_server.start()
    await asyncio.sleep(0.5)
    assert not holding.done()
    assert (await store.get(job.id)).files[1].status == "queued"
    await store.finish(held, ended(held))
    rest = await ticket(store)
    async with store.bytes_of(rest) as path:
        assert path.read_bytes() == b"two"
    after = await store.finish(rest, ended(rest))
    assert after is not None
    assert after.status == "done"
