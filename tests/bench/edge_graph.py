"""The embedded store at scale: exact and graph search, what a build costs, and how long it ever stops the loop.

Vectors are clustered at random (384 dimensions), texts are random words. `stall` is the longest time that the
event loop did not run while the graph was built and swapped in, with a search every 5 ms; `hidden` are staged
revisions that every search leaves out.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backend import Query
from services.retrieval.backends.edge.catalogue import Catalogue
from services.retrieval.backends.edge.store import EdgeStore
from tests.bench._report import report

DIM = 384
QUERIES = 100
BATCH = 256
POOL = 100
RNG = np.random.default_rng(7)
CENTRES = RNG.standard_normal((200, DIM)).astype(np.float32)
WHERE = {"fifth": 3}


def vectors(count: int) -> np.ndarray:
    noise = RNG.standard_normal((count, DIM)).astype(np.float32)
    return CENTRES[RNG.integers(len(CENTRES), size=count)] + 0.8 * noise


def words() -> str:
    return " ".join(f"w{word}" for word in RNG.zipf(1.3, 120) % 50_000)


def passages(first: int, count: int, revision: str = "") -> list[StoredPassage]:
    return [
        StoredPassage(
            passage=Passage(
                id=f"{revision}{first + at}",
                document_id=f"d{first + at}",
                revision=revision,
                text=words(),
                metadata={"fifth": at % 5},
            ),
            vector=vector.tolist(),
        )
        for at, vector in enumerate(vectors(count))
    ]


async def timed(store: EdgeStore, queries: list[Query]) -> tuple[list[float], list[set[str]]]:
    """Milliseconds of each search, and its ten best."""
    took, found = [], []
    for query in queries:
        begun = time.perf_counter()
        candidates = await store.search("c", query)
        took.append((time.perf_counter() - begun) * 1e3)
        found.append({passage.id for passage in candidates.dense[:10]})
    return took, found


async def longest_stall(work: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds."""
    task = asyncio.ensure_future(work())
    worst, before = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        worst, before = max(worst, now - before), now
    await task
    return worst * 1e3


async def measure(count: int, folder: Path) -> list[dict[str, str | float]]:
    store = EdgeStore(Catalogue(folder), index_from=0)
    for first in range(0, count, BATCH):
        await store.upsert("c", "m", passages(first, min(BATCH, count - first)))
    points = vectors(QUERIES)
    asked = {
        "dense": [Query(vector=v.tolist(), k=POOL) for v in points],
        "dense, filtered": [Query(vector=v.tolist(), k=POOL, where=WHERE) for v in points],
        "hybrid": [Query(vector=v.tolist(), text=words()[:60], k=POOL) for v in points],
    }
    exact = {name: await timed(store, queries) for name, queries in asked.items()}
    rows = [row(f"exact, {name}", took) for name, (took, _) in exact.items()]
    for at in range(100):
        await store.upsert("c", "m", passages(count + at, 1, "staged"), staged=True)
    rows.append(row("exact, dense, 100 revisions hidden", (await timed(store, asked["dense"]))[0]))
    await store.close()

    store = EdgeStore(Catalogue(folder), index_from=count)
    await store.collections()
    begun = time.perf_counter()

    async def build() -> None:
        held = store._open["c"]
        store.graphs.consider(held, await held.write(lambda on_disk: on_disk.shards.count_unindexed()))
        await store.graphs.wait_idle()

    searching = asyncio.ensure_future(search_all_the_time(store, asked["dense"]))
    stall = await longest_stall(build)
    took = time.perf_counter() - begun
    searching.cancel()
    rows.append({"what": f"build {took:.0f} s, {took / count * 1e3:.1f} ms per passage", "stall ms": stall})
    for name, queries in asked.items():
        times, found = await timed(store, queries)
        recall = float(np.mean([len(a & b) / 10 for a, b in zip(found, exact[name][1], strict=True)]))
        rows.append({**row(f"graph, {name}", times), "recall@10": recall})
    await store.close()
    return rows


async def search_all_the_time(store: EdgeStore, queries: list[Query]) -> None:
    while True:
        await timed(store, queries[:1])
        await asyncio.sleep(0.005)


def row(what: str, took: list[float]) -> dict[str, str | float]:
    return {"what": what, "p50 ms": float(np.percentile(took, 50)), "max ms": max(took)}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(count, Path(folder)))
    report("edge_graph", f"The embedded store, {count} passages, {POOL} candidates a side", rows, n=QUERIES)


if __name__ == "__main__":
    main()
