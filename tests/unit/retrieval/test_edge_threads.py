"""Upserts of several requests as one write: which go together, and that each has its own result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace

import pytest

from services.core.errors import Conflict
from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backends.edge.catalogue import Catalogue
from services.retrieval.backends.edge.collection import EdgeCollection
from services.retrieval.backends.edge.shard import Shard
from services.retrieval.backends.edge.store import EdgeStore
from services.retrieval.backends.edge.threads import JoinedUpserts
from services.retrieval.points import Point


class Disk(EdgeCollection):
    """Writes what it is told to, in `calls`; a point named `bad` fails the whole of its write."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], bool]] = []
        self.stored: list[str] = []
        self.busy = asyncio.Event()
        self.free = asyncio.Event()
        self.shards = SimpleNamespace(count_unindexed=lambda: len(self.stored))

    def upsert(self, points: Sequence[Point], *, staged: bool = False) -> None:
        ids = [point.id for point in points]
        self.calls.append((ids, staged))
        if "bad" in ids:
            raise OSError("the disk is full")
        self.stored += ids

    async def write(self, call: Callable[[EdgeCollection], int]) -> int:
        self.busy.set()
        await self.free.wait()
        return call(self)


def points(*ids: str) -> list[Point]:
    return [Point(id_, {}, [1.0], {}, None) for id_ in ids]


async def asked(disk: Disk, *requests: tuple[Sequence[str], bool], most: int = 4) -> list[asyncio.Task[int]]:
    """These requests behind one that is being written, `first`."""
    joined = JoinedUpserts(disk.write, most)
    tasks = [asyncio.create_task(joined.add(points("first"), staged=True))]
    await disk.busy.wait()
    for ids, staged in requests:
        tasks.append(asyncio.create_task(joined.add(points(*ids), staged=staged)))
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_during_a_write_is_the_next_one() -> None:
    disk = Disk()
    tasks = await asked(disk, ("a", True), ("b", True), ("c", True))
    disk.free.set()
    assert await asyncio.gather(*tasks) == [1, 4, 4, 4]
    assert disk.calls == [(["first"], True), (["a", "b", "c"], True)]


@pytest.mark.parametrize(
    ("requests", "writes"),
    [
        ([("ab", True), ("cd", True), ("e", True)], ["abcd", "e"]),  # no more than `most`
        ([("abcdef", True), ("g", True)], ["abcdef", "g"]),  # one that is larger goes alone
        ([("a", True), ("b", False), ("c", False)], ["a", "bc"]),  # staged ones apart from others
        ([("ab", True), ("c", True), ("bd", True)], ["abc", "bd"]),  # the same passage again: in order
    ],
)
async def test_what_does_not_go_together(requests: list[tuple[str, bool]], writes: list[str]) -> None:
    disk = Disk()
    tasks = await asked(disk, *requests)
    disk.free.set()
    await asyncio.gather(*tasks)
    assert ["".join(ids) for ids, _ in disk.calls[1:]] == writes


async def test_an_error_is_that_of_the_request_whose_it_is() -> None:
    disk = Disk()
    tasks = await asked(disk, ("a", True), (["bad"], True), ("c", True))
    disk.free.set()
    _, *results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [int, OSError, int]
    assert disk.stored == ["first", "a", "c"]


async def test_what_is_cancelled_before_its_write_began_is_not_written() -> None:
    disk = Disk()
    tasks = await asked(disk, ("a", True), ("b", True))
    tasks[1].cancel()
    await asyncio.sleep(0)
    disk.free.set()
    assert await tasks[2] == 2
    assert disk.stored == ["first", "b"]


def offered(document: str, id_: str) -> list[StoredPassage]:
    passage = Passage(id=id_, document_id=document, text="t", revision=document)
    return [StoredPassage(passage=passage, vector=[1.0, 0.0])]


async def test_documents_that_are_stored_at_a_time_are_saved_together(tmp_path, monkeypatch) -> None:
    store = EdgeStore(Catalogue(tmp_path / "vectors"))
    await store.upsert("c", "m", offered("d0", "p0"))
    saves: list[Shard] = []
    real = Shard.save
    monkeypatch.setattr(Shard, "save", lambda self: (saves.append(self), real(self)))
    held, go_on = store._open["c"], threading.Event()
    blocked = asyncio.ensure_future(held.write(lambda _: go_on.wait()))
    asked_for: list[Sequence[Point]] = []
    add = held.upserts.add

    def counted(points: Sequence[Point], *, staged: bool) -> Coroutine[None, None, int]:
        asked_for.append(points)
        return add(points, staged=staged)

    monkeypatch.setattr(held.upserts, "add", counted)
    # the last one's passage has an id that is d0's
    documents = [offered(f"d{n}", f"p{n}") for n in range(1, 20)] + [offered("d20", "p0")]
    tasks = [asyncio.ensure_future(store.upsert("c", "m", each, staged=True)) for each in documents[:-1]]
    while len(asked_for) < len(tasks):  # noqa: ASYNC110 - nothing tells when they wait
        await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(blocked, *tasks)
    assert len(saves) <= 2
    results = await asyncio.gather(
        store.upsert("c", "m", documents[-1], staged=True),
        store.upsert("c", "m", offered("d21", "p21"), staged=True),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Conflict, type(None)]
    for n in range(1, 20):
        assert await store.publish("c", f"d{n}", f"d{n}", passages=1) == 0
    assert {each.id: each.passages for each in await store.documents("c")} == {f"d{n}": 1 for n in range(20)}
    await store.close()
