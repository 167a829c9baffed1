"""Ingestion and search as a collection grows: documents through dataprep into the embedded store.

Real processes, the real embedding model, made-up documents of eight passages. At each size: passages per
second, what a passage costs in CPU, memory, and how long a search takes. The model's own ceiling is what
the same backend does with the same texts in this process, alone, measured before and after every leg of at
most 20,000 passages; the share is ingestion's passages per second of that, and of CPU the model's own part.

With `--fill N` the collection is filled up by writing to the store directly, and only the last N passages
before each size are ingested and measured: minutes instead of an hour where the machine is shared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import aiohttp
import numpy as np
import uvloop
from _corpus import Document, documents, passage_texts
from _filling import Filling
from _report import report
from _watch import Usage, Watch

from services.cli.local.probe import free_ports
from services.cli.local.stack import Stack
from services.core.settings import copy_environment
from services.embedding.backends.openvino import OpenVinoEmbedding
from services.embedding.backends.openvino import Settings as EmbeddingSettings

SERVICES = ("embedding", "retrieval", "reranking", "generation", "dataprep", "gateway")
WATCHED = ("dataprep", "embedding", "retrieval")
FILES, UPLOADS = 16, 4
"""Files of an upload, and uploads at a time."""
PARAGRAPHS = 8
LEG = 20_000
QUERIES = 400
RAW_TEXTS, RAW_BATCH = 1024, 8
"""Batches as ingestion sends them: the passages of one document."""


@dataclass
class Leg:
    """A stretch of ingestion."""

    documents: int = 0
    passages: int = 0
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Raw:
    """What the model does alone."""

    per_second: float
    cpu_ms: float


class Ingestion:
    """Uploads documents, one after another, and never the same twice."""

    def __init__(self, session: aiohttp.ClientSession, url: str, watch: Watch) -> None:
        self._session, self._url, self._watch = session, url, watch
        self._documents = iter(documents(10_000_000))
        self.subjects: list[str] = []
        self.stored = self._expected = 0
        self._began = time.perf_counter()

    async def leg(self, target: int) -> Leg:
        """Until `target` passages are stored."""
        leg, stored = Leg(), self.stored
        self._expected = stored
        start = self._began = time.perf_counter()
        async with self._watch.usage() as leg.usage:
            await asyncio.gather(*(self._uploads(leg, stored, target) for _ in range(UPLOADS)))
        leg.seconds = time.perf_counter() - start
        leg.passages = self.stored - stored
        return leg

    async def _uploads(self, leg: Leg, before: int, target: int) -> None:
        while self._expected < target:
            self._expected += FILES * PARAGRAPHS
            batch = list(islice(self._documents, FILES))
            added = await self._upload(batch)  # not `+=` on it: another upload ends meanwhile
            self.stored += added
            leg.documents += len(batch)
            self.subjects += [document.subject for document in batch]
            rate = (self.stored - before) / (time.perf_counter() - self._began)
            print(f"\r{self.stored} of {target} passages, {rate:.0f}/s  ", end="", flush=True)

    async def _upload(self, batch: Sequence[Document]) -> int:
        form = aiohttp.FormData()
        for document in batch:
            form.add_field("files", document.text.encode(), filename=document.name, content_type="text/plain")
        form.add_field("chunk_size", "300")
        form.add_field("chunk_overlap", "0")
        async with self._session.post(f"{self._url}/v1/dataprep/ingest", data=form) as reply:
            body = await reply.json()
            if reply.status != 200 or any(each["status"] == "failed" for each in body["files"]):
                raise SystemExit(f"dataprep answered {reply.status}: {json.dumps(body)[:500]}")
        return sum(each["passages"] for each in body["files"])


async def raw(model: OpenVinoEmbedding) -> Raw:
    """The same texts as dataprep sends, token vectors included, with as many callers."""
    names = [f"bench/{number:06d}.txt" for number in range(RAW_TEXTS)]
    texts = [f"{name}\n{text}" for name, text in zip(names, passage_texts(RAW_TEXTS), strict=True)]
    batches = iter([texts[at : at + RAW_BATCH] for at in range(0, len(texts), RAW_BATCH)])

    async def caller() -> None:
        for batch in batches:
            await model.encode(batch, normalize=True, truncate=True, token_vectors=True)

    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(UPLOADS)))
    seconds = time.perf_counter() - start
    return Raw(RAW_TEXTS / seconds, (time.process_time() - cpu) / RAW_TEXTS * 1e3)


async def searches(
    session: aiohttp.ClientSession, stack: Stack, subjects: Sequence[str]
) -> dict[str, str | float]:
    """Milliseconds of a search in the store, and of a whole answer with an engine that takes no time."""
    step = max(1, len(subjects) // QUERIES)
    queries = [f"What is near {subject.title()}?" for subject in subjects[::step][:QUERIES]]
    queries = (queries * QUERIES)[:QUERIES]
    retrieval, gateway = [], []
    for query in queries:
        vector = (await _post(session, stack.url("embedding") + "/embed", {"inputs": query}))[0]
        start = time.perf_counter()
        await _post(
            session, stack.url("retrieval") + "/v1/retrieval", {"text": query, "embedding": vector, "k": 20}
        )
        retrieval.append(time.perf_counter() - start)
    for query in queries:
        start = time.perf_counter()
        await _post(
            session,
            stack.url("gateway") + "/v1/chat/completions",
            {"messages": [{"role": "user", "content": query}]},
        )
        gateway.append(time.perf_counter() - start)
    return {
        f"{name} {label} ms": float(np.percentile(np.array(values) * 1e3, share))
        for name, values in (("search", retrieval), ("answer", gateway))
        for label, share in (("p50", 50), ("p99", 99))
    }


async def _post(session: aiohttp.ClientSession, url: str, body: Mapping[str, object]) -> list[list[float]]:
    async with session.post(url, json=body) as reply:
        if reply.status != 200:
            raise SystemExit(f"{url} answered {reply.status}: {await reply.text()}")
        found: list[list[float]] = await reply.json()
        return found


async def measure(stack: Stack, sizes: Sequence[int], fill: int) -> list[dict[str, str | float]]:
    settings = EmbeddingSettings()
    model = OpenVinoEmbedding(settings, settings.folder())
    watch = Watch({name: stack.pid(name) or 0 for name in WATCHED})
    rows: list[dict[str, str | float]] = []
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        ingestion = Ingestion(session, stack.url("dataprep"), watch)
        filling = Filling(session, stack.url("embedding"), stack.url("retrieval"))
        await raw(model)
        await ingestion.leg(2 * FILES * PARAGRAPHS)  # parsers start, shapes are seen for the first time
        for size in sizes:
            if fill and size - fill > ingestion.stored:
                await filling.fill(size - fill - ingestion.stored)
                ingestion.stored = size - fill
            ceilings, legs = [await raw(model)], []
            print(f"\nthe model alone: {ceilings[0].per_second:.0f} passages/s", flush=True)
            while ingestion.stored < size:
                legs.append(await ingestion.leg(min(size, ingestion.stored + LEG)))
                ceilings.append(await raw(model))
            found = await searches(session, stack, ingestion.subjects)
            rows.append(_row(ingestion.stored, legs, ceilings, found, rows))
            print()
            _say(rows)
    await model.close()
    return rows


def _row(
    stored: int,
    legs: Sequence[Leg],
    ceilings: Sequence[Raw],
    found: Mapping[str, str | float],
    before: Sequence[Mapping[str, str | float]],
) -> dict[str, str | float]:
    passages, seconds = sum(leg.passages for leg in legs), sum(leg.seconds for leg in legs)
    ceiling = float(np.mean([one.per_second for one in ceilings]))
    own = float(np.mean([one.cpu_ms for one in ceilings]))
    last = legs[-1]  # what a passage costs at this size, not on the way to it
    cost = sum(last.usage.cpu.values()) / last.passages * 1e3
    first = float(before[0]["CPU ms/passage"]) if before else cost
    return {
        "passages": str(stored),
        "documents/s": sum(leg.documents for leg in legs) / seconds,
        "passages/s": passages / seconds,
        "model alone/s": ceiling,
        "share": passages / seconds / ceiling,
        "CPU ms/passage": cost,
        "model alone CPU ms": own,
        "CPU share": own / cost,
        "growth": cost / first,
        **{f"{name} CPU ms": last.usage.cpu[name] / last.passages * 1e3 for name in WATCHED},
        **{f"{name} MiB": max(leg.usage.peak[name] for leg in legs) for name in WATCHED},
        "sum MiB": max(leg.usage.peak_sum for leg in legs),
        **found,
    }


def _say(rows: Sequence[Mapping[str, str | float]]) -> None:
    """As a Markdown table that grows to the right."""
    for name in rows[0]:
        print(f"| {name} | " + " | ".join(_cell(row[name]) for row in rows) + " |", flush=True)


def _cell(value: str | float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else value


@contextmanager
def running(home: Path) -> Iterator[Stack]:
    environment = {
        **{name: value for name, value in copy_environment().items() if not name.endswith(("_URL", "_PORT"))},
        "LLM_ENGINE": "fake",
        "FAKE_TOKENS": "1",
        "FAKE_TOKENS_PER_SECOND": "0",
        "RELEVANCE_FLOOR": "0",
        "LOG_LEVEL": "warning",
    }
    with tempfile.TemporaryDirectory() as folder:
        environment["VECTOR_URL"] = f"edge://{folder}/vectors"
        environment["JOBS_URL"] = f"sqlite:{folder}/jobs.sqlite"
        with Stack(home, environment, free_ports(SERVICES), run=Path(folder) / "run") as stack:
            for name in SERVICES:
                stack.start(name)
            stack.wait_ready(180)
            yield stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000", help="passages, ascending")
    parser.add_argument("--fill", type=int, default=0, help="ingest only so many before each size")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the services must not outlive this
    sizes = [int(size) for size in arguments.sizes.split(",")]
    with running(EmbeddingSettings().root) as stack:
        rows = uvloop.run(measure(stack, sizes, arguments.fill))
    note = f"the last {arguments.fill} passages before each size were ingested" if arguments.fill else ""
    report("ingest", "Ingestion and search as a collection grows", rows, n=QUERIES, note=note)


if __name__ == "__main__":
    main()
