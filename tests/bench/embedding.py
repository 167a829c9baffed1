"""What batching across requests buys: texts per second and how long a query waits while documents are embedded.

Three arms over the same real model, round by round in turn: every request in passes of its own, first come
first served; the batcher with one pass of 512 tokens at a time on all cores, and with two of 256 tokens. `ingest`: two callers with 64 passages
each and a query every 25 ms. `queries`: 16 callers with one query each. `solo`: one caller, one query.
On a machine that others use too, CPU time per text compares throughput better than texts per second do.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
from _corpus import passage_texts
from _report import report
from numpy.typing import NDArray

from services.embedding.backends.openvino import OpenVinoEmbedding, Settings, _InferStream, _pool_mean
from services.embedding.backends.openvino.scheduler import fill_arrays, pad_length

QUERIES = [
    "how long does a battery last when it is cold",
    "who repairs the bridge over the river",
    "what does the treaty say about fishing rights in winter",
    "why do bees dance",
]
Encode = Callable[[Sequence[str]], Awaitable[object]]


class RequestByRequest:
    """The arm without a batcher: plans passes within one request; two threads share the engine in turn."""

    def __init__(self, model: OpenVinoEmbedding, limit: int) -> None:
        self._model, self._limit = model, limit
        self._streams: SimpleQueue[_InferStream] = SimpleQueue()
        self._streams.put(model._streams[0])
        self._threads = ThreadPoolExecutor(2)

    async def encode(self, texts: Sequence[str]) -> object:
        loop = asyncio.get_running_loop()
        tokenizer = self._model._tokenizer
        ids = await loop.run_in_executor(self._threads, lambda: tokenizer.encode(texts, truncate=True))
        vectors = []
        for batch in _plan([len(text) for text in ids], self._limit):
            inputs = [ids[position] for position in batch]
            vectors.append(await loop.run_in_executor(self._threads, self._run, inputs))
        return vectors

    def _run(self, texts: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        stream = self._streams.get()
        try:
            output = stream.run(*fill_arrays(texts))
            return [_pool_mean(output[row, : len(text)]) for row, text in enumerate(texts)]
        finally:
            self._streams.put(stream)


def _plan(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * pad_length(lengths[position]) > limit:
            yield batch
            batch = []
        batch.append(position)
    yield batch


class Measured:
    def __init__(self) -> None:
        self.texts, self.seconds, self.cpu = 0, 0.0, 0.0
        self.waits: list[float] = []

    def row(self, arm: str, scenario: str) -> dict[str, str | float]:
        waits = np.array(self.waits) * 1e3
        enough = len(waits) >= 368  # a distribution-free interval for p99 needs as many
        return {
            "scenario": scenario,
            "arm": arm,
            "texts/s": self.texts / self.seconds,
            "CPU ms/text": self.cpu / self.texts * 1e3,
            "query p50 ms": float(np.percentile(waits, 50)),
            "query p99 ms": float(np.percentile(waits, 99)) if enough else "insufficient",
            "queries": str(len(waits)),
        }


async def _repeat(encode: Encode, texts: Sequence[Sequence[str]], until: float, seen: Measured) -> None:
    while time.perf_counter() < until:
        for batch in texts:
            start = time.perf_counter()
            await encode(batch)
            if len(batch) == 1:
                seen.waits.append(time.perf_counter() - start)
            seen.texts += len(batch)


async def _queries_at_intervals(encode: Encode, until: float, seen: Measured) -> None:
    async def ask(query: str) -> None:
        start = time.perf_counter()
        await encode([query])
        seen.waits.append(time.perf_counter() - start)

    asked = []
    while time.perf_counter() < until:
        asked.append(asyncio.create_task(ask(QUERIES[len(asked) % len(QUERIES)])))
        await asyncio.sleep(0.025)
    await asyncio.gather(*asked)
    seen.texts += len(asked)


async def _round(scenario: str, encode: Encode, passages: list[str], seconds: float, seen: Measured) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    until = start + seconds
    singles = [[query] for query in QUERIES]
    if scenario == "ingest":
        halves = passages[: len(passages) // 2], passages[len(passages) // 2 :]
        batches = [[half[at : at + 64] for at in range(0, len(half), 64)] for half in halves]
        await asyncio.gather(
            *(_repeat(encode, part, until, seen) for part in batches),
            _queries_at_intervals(encode, until, seen),
        )
    else:
        callers = 16 if scenario == "queries" else 1
        await asyncio.gather(*(_repeat(encode, singles, until, seen) for _ in range(callers)))
    seen.seconds += time.perf_counter() - start
    seen.cpu += time.process_time() - cpu


async def measure(rounds: int, seconds: float) -> None:
    passages = passage_texts(512)
    before, single, double = _model(1024, 1), _model(512, 1), _model(256, 2)
    arms: dict[str, Encode] = {
        "request by request, 1,024": RequestByRequest(before, 1024).encode,
        "batched, one stream, 512": _encode(single),
        "batched, two streams, 256": _encode(double),
    }
    results = {(arm, scenario): Measured() for scenario in ("ingest", "queries", "solo") for arm in arms}
    for _ in range(rounds):
        for (arm, scenario), seen in results.items():
            await _round(scenario, arms[arm], passages, seconds, seen)
    for model in (before, single, double):
        await model.close()
    rows = [seen.row(arm, scenario) for (arm, scenario), seen in results.items()]
    report("embedding", "Embedding under load, in one process", rows, n=rounds)


def _encode(model: OpenVinoEmbedding) -> Encode:
    return lambda texts: model.encode(texts, normalize=True, truncate=True)


def _model(batch_tokens: int, streams: int) -> OpenVinoEmbedding:
    settings = Settings(batch_tokens=batch_tokens, streams=streams)
    return OpenVinoEmbedding(settings, settings.folder())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
