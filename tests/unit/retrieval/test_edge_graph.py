"""The embedded store's graph: built by a child process on a copy, swapped in without a hole, safe at any kill."""

from __future__ import annotations

import asyncio
import os
import signal

import numpy as np
import pytest

from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backend import Query
from services.retrieval.backends.edge import graph
from services.retrieval.backends.edge.catalogue import Catalogue
from services.retrieval.backends.edge.store import EdgeStore

DIM = 1536
"""So large that 2,000 passages are more than the engine would rather scan than search by the graph."""
COUNT = 2000
SMALL = 16


def stored(id_: str, vector: np.ndarray, **fields) -> StoredPassage:
    fields = {"document_id": id_, "text": f"text {id_}", **fields}
    return StoredPassage(passage=Passage(id=id_, **fields), vector=vector.tolist())


def clustered(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    centres = rng.standard_normal((20, dim))
    return (centres[rng.integers(20, size=count)] + 0.7 * rng.standard_normal((count, dim))).astype(
        np.float32
    )


def opened(path, index_from: int) -> EdgeStore:
    return EdgeStore(Catalogue(path), index_from)


def shard_of(store: EdgeStore) -> object:
    return store._open["c"]._collection._shard


async def fill(store: EdgeStore, vectors: np.ndarray, prefix: str = "p", **fields) -> None:
    await store.upsert(
        "c",
        "m",
        [
            stored(f"{prefix}{i}", vector, metadata={"fifth": i % 5}, **fields)
            for i, vector in enumerate(vectors)
        ],
    )


async def found(store: EdgeStore, vector: np.ndarray, k: int = 10, where=None) -> list[str]:
    candidates = await store.search("c", Query(vector=vector.tolist(), k=k, where=where))
    return [passage.id for passage in candidates.dense]


def exact(vectors: np.ndarray, query: np.ndarray, k: int, step: int = 1, offset: int = 0) -> list[str]:
    kept = np.arange(offset, len(vectors), step)
    cosines = vectors[kept] @ query / np.linalg.norm(vectors[kept], axis=1)
    return [f"p{i}" for i in kept[np.argsort(-cosines)[:k]]]


async def test_the_graph_finds_what_an_exact_search_does_also_with_a_filter(tmp_path):
    rng = np.random.default_rng(1)
    vectors = clustered(rng, COUNT, DIM)
    store = opened(tmp_path, COUNT)
    await fill(store, vectors)
    await store.graphs.wait_idle()
    assert shard_of(store).graph
    queries = clustered(rng, 30, DIM)
    plain, filtered = [], []
    for query in queries:
        plain.append(len(set(await found(store, query)) & set(exact(vectors, query, 10))) / 10)
        kept = await found(store, query, where={"fifth": 3})
        filtered.append(len(set(kept) & set(exact(vectors, query, 10, step=5, offset=3))) / 10)
    assert np.mean(plain) >= 0.95
    assert np.mean(filtered) >= 0.95
    await store.close()


async def test_writes_during_a_build_are_in_the_graphs_shard_and_outlive_a_restart(tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    vectors = clustered(rng, 200, SMALL)
    store = opened(tmp_path, 200)
    release = asyncio.Event()
    build = graph._build_in_child

    async def held(copy, dim) -> None:
        await build(copy, dim)
        await release.wait()

    monkeypatch.setattr(graph, "_build_in_child", held)
    await fill(store, vectors[:150])
    assert store.graphs._task is None
    await fill(store, vectors[150:], "q")
    assert store.graphs._task is not None
    await store.delete("c", "p0")
    await store.upsert("c", "m", [stored("p1", -vectors[1], text="changed")])
    await store.upsert("c", "m", [stored("late", vectors[2], revision="1")], staged=True)
    release.set()
    await store.graphs.wait_idle()
    assert shard_of(store).graph

    for _ in range(2):
        assert "p0" not in await found(store, vectors[0], k=300)
        assert (await found(store, -vectors[1], k=1)) == ["p1"]
        assert len(await found(store, vectors[0], k=300)) == 199
        sparse = (await store.search("c", Query(text="changed", k=9))).sparse
        assert [passage.id for passage in sparse] == ["p1"]
        await store.close()
        (folder,) = (tmp_path / "collections").iterdir()
        assert len(list(folder.glob("shard*"))) == 1
        store = opened(tmp_path, 0)
    assert await store.publish("c", "late", "1") == 0
    assert "late" in await found(store, vectors[2], k=300)
    assert shard_of(store).graph
    await store.close()


async def test_searches_go_on_while_a_graph_is_built_and_swapped_in(tmp_path):
    rng = np.random.default_rng(3)
    vectors = clustered(rng, 600, SMALL)
    store = opened(tmp_path, 600)
    await fill(store, vectors)
    rounds = 0
    while store.graphs._task is not None:
        assert (await found(store, vectors[rounds % 600], k=1)) == [f"p{rounds % 600}"]
        rounds += 1
        await asyncio.sleep(0.01)
    assert rounds > 0
    assert shard_of(store).graph
    await store.close()


@pytest.mark.parametrize("moment", ["copied", "built"])
async def test_a_copy_that_did_not_take_over_is_removed_at_the_next_start(tmp_path, moment):
    rng = np.random.default_rng(4)
    store = opened(tmp_path, 0)
    await fill(store, clustered(rng, 50, SMALL))
    held = store._open["c"]
    copy = await held.write(lambda on_disk: on_disk.shards.fork())
    if moment == "built":
        await graph._build_in_child(copy, SMALL)
    await store.upsert("c", "m", [stored("after", np.ones(SMALL))])
    await store.close()
    store = opened(tmp_path, 0)
    assert len(await found(store, np.ones(SMALL), k=99)) == 51
    assert not copy.exists()
    await store.close()


async def test_a_build_that_is_killed_changes_nothing_and_is_not_tried_again(tmp_path, monkeypatch):
    store = opened(tmp_path, 50)
    spawn = asyncio.create_subprocess_exec

    async def killed(*arguments, **options):
        child = await spawn(*arguments, **options)
        child.send_signal(signal.SIGKILL)
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", killed)
    vectors = clustered(np.random.default_rng(5), 60, SMALL)
    await fill(store, vectors)
    await store.graphs.wait_idle()
    assert not shard_of(store).graph
    await fill(store, vectors, "again")
    assert store.graphs._task is None
    assert len(await found(store, vectors[0], k=200)) == 120
    (folder,) = (tmp_path / "collections").iterdir()
    assert len(list(folder.glob("shard*"))) == 1
    await store.close()


async def test_closing_during_a_build_ends_its_process(tmp_path, monkeypatch):
    store = opened(tmp_path, 50)
    spawn = asyncio.create_subprocess_exec
    children = []
    begun = asyncio.Event()

    async def noted(*arguments, **options):
        children.append(await spawn(*arguments, **options))
        begun.set()
        return children[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    await fill(store, clustered(np.random.default_rng(6), 60, SMALL))
    await begun.wait()
    await store.close()
    assert children[0].returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(children[0].pid, 0)
