"""What a search costs in the embedded store and in Redis, and what storing costs; `make bench-vector-stores`.

Through each backend's own protocol, in this process, one request at a time: nothing of the service around
it. Vectors are random around random centres, texts are made up; so no figure here is one of quality but
`recall@20`, which is against an exact search.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil

from services.core.addresses import StoreAddress
from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backend import Query, VectorStore
from services.retrieval.backends import edge, redis
from services.retrieval.settings import VECTOR_URL
from tests.bench._corpus import documents
from tests.bench._report import report
from tests.redis_server import RedisServer

DIM = 384
K = 20
PER_DOCUMENT = 10
MODES = {"dense": (True, False), "sparse": (False, True), "hybrid": (True, True)}


class Data:
    """`count` passages of about 100 words, and queries: a vector near one of theirs, and its subject."""

    def __init__(self, count: int, queries: int) -> None:
        rng = np.random.default_rng(1)
        centres = rng.standard_normal((200, DIM))
        near = centres[rng.integers(0, 200, count)] + 0.7 * rng.standard_normal((count, DIM))
        self.vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
        self.written = list(documents(count // PER_DOCUMENT, paragraphs=PER_DOCUMENT, characters=600))
        chosen = rng.integers(0, count, queries)
        noise = 0.3 * rng.standard_normal((queries, DIM)) / np.sqrt(DIM)
        vectors = (self.vectors[chosen] + noise).astype(np.float32)
        subjects = [self.written[at // PER_DOCUMENT].subject + " report of the year" for at in chosen]
        self.queries = list(zip(vectors.tolist(), subjects, strict=True))

    def batches(self) -> list[list[StoredPassage]]:
        return [
            [
                StoredPassage(
                    passage=Passage(
                        id=f"{document.name}/{index}", document_id=document.name, text=text, index=index
                    ),
                    vector=self.vectors[number * PER_DOCUMENT + index].tolist(),
                )
                for index, text in enumerate(document.text.split("\n\n"))
            ]
            for number, document in enumerate(self.written)
        ]

    def recall(self, found: list[list[str]]) -> float:
        """How many of the `K` nearest by an exact search were among those found."""
        hits = 0
        for (vector, _), ids in zip(self.queries, found, strict=True):
            best = np.argsort(-self.vectors @ np.asarray(vector, np.float32))[:K]
            names = {f"{self.written[at // PER_DOCUMENT].name}/{at % PER_DOCUMENT}" for at in best}
            hits += len(names & set(ids))
        return hits / (K * len(found))


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[tuple[VectorStore, RedisServer | None]]:
    if kind == "edge":
        store: VectorStore = await edge.create(StoreAddress.parse(VECTOR_URL, f"edge://{folder}"))
        yield store, None
        await store.close()
        return
    os.environ["REDIS_VECTOR_INDEX"] = kind.split()[1]
    server = RedisServer(folder)
    server.start()
    try:
        store = await redis.create(StoreAddress.parse(VECTOR_URL, server.url))
        yield store, server
        await store.close()
    finally:
        server.kill()


async def measure(kind: str, data: Data) -> list[dict[str, str | float]]:
    rows: list[dict[str, str | float]] = []
    batches = data.batches()
    with tempfile.TemporaryDirectory() as folder:
        async with opened(kind, Path(folder)) as (store, server):
            start = time.perf_counter()
            for at in range(0, len(batches), 6):
                await store.upsert("c", "m", [each for batch in batches[at : at + 6] for each in batch])
            rate = len(data.vectors) / (time.perf_counter() - start)
            for mode, (dense, sparse) in MODES.items():
                times, found = [], []
                cpu = cpu_seconds(server)
                for vector, text in data.queries:
                    query = Query(vector=vector, text=text if sparse else "", dense=dense, k=K)
                    began = time.perf_counter()
                    hits = await store.search("c", query)
                    times.append(1000 * (time.perf_counter() - began))
                    found.append([hit.id for hit in hits.dense])
                cpu = 1000 * (cpu_seconds(server) - cpu) / len(times)
                p50, p95 = np.percentile(times, [50, 95])
                recall: str | float = data.recall(found) if dense and not sparse else ""
                costs = {"cpu ms": cpu, "p50 ms": p50, "p95 ms": p95}
                rows.append({"store": kind, "search": mode, **costs, f"recall@{K}": recall})
            rows[0]["stored/s"] = rate
            rows[0]["start s"] = await restart(server, store) if server else ""
    return rows


def cpu_seconds(server: RedisServer | None) -> float:
    """Of this process, and of the server."""
    times = psutil.Process(server.pid).cpu_times() if server else None
    return time.process_time() + (times.user + times.system if times else 0)


async def restart(server: RedisServer, store: VectorStore) -> float:
    """Seconds from SIGKILL's end to the first answer: the file is read and every passage indexed again."""
    server.kill()
    start = time.perf_counter()
    server.start()
    await store.ready()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=300)
    arguments = parser.parse_args()
    data = Data(arguments.passages, arguments.queries)
    rows = [row for kind in ("edge", "redis flat", "redis hnsw") for row in asyncio.run(measure(kind, data))]
    title = f"One search among {arguments.passages:,} passages of {DIM} dimensions, {K} hits"
    report("vector-stores", title, rows, n=arguments.queries)


if __name__ == "__main__":
    main()
