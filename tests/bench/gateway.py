"""What the gateway costs: the chain over services of zero latency, next to a bare client doing the same calls.

The bare client is one process that embeds, retrieves, reranks and generates one after the other with the
same HTTP library and nothing else: no validation, no citations, no metrics. Both run alone, one at a time.
CPU is that of the gateway's process, and of the bare client's.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import aiohttp
import orjson
import psutil
import uvloop
from _report import report

from services.cli.local.probe import free_ports
from services.cli.local.stack import Stack
from services.core.settings import copy_environment

QUESTION = "how heavy is a pound of feathers?"
PASSAGES = 20
LONG, SHORT = 201, 1
CONCURRENCY = (1, 16, 64)
REQUESTS = {1: 1000, 16: 1600, 64: 1600}
WARM_UP = 200


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Target:
    """Where the calls go: `port` by service."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self.ports = ports

    def url(self, service: str, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}{path}"


async def through_gateway(session: aiohttp.ClientSession, target: Target, *, stream: bool) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], "stream": stream}
    async with session.post(target.url("gateway", "/v1/chat/completions"), json=body) as reply:
        received = await reply.read()
        if reply.status != 200 or (stream and not received.endswith(b"data: [DONE]\n\n")):
            raise SystemExit(f"the gateway answered {reply.status}: {received[-300:]!r}")


async def bare(session: aiohttp.ClientSession, target: Target) -> None:
    """The four calls, as plainly as they can be made."""
    vector = (await _post(session, target.url("embedding", "/embed"), {"inputs": QUESTION}))[0]
    request = {"text": QUESTION, "embedding": vector, "k": PASSAGES}
    found = (await _post(session, target.url("retrieval", "/v1/retrieval"), request))["retrieved_docs"]
    request = {"initial_query": QUESTION, "retrieved_docs": found, "top_n": 4}
    ranks = (await _post(session, target.url("reranking", "/v1/reranking"), request))["results"]
    context = "\n\n".join(found[rank["index"]]["text"] for rank in ranks)
    chat = {
        "messages": [{"role": "user", "content": f"{context}\n\n{QUESTION}"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    async with session.post(
        target.url("generation", "/v1/chat/completions"), data=orjson.dumps(chat), headers=JSON
    ) as reply:
        text = []
        async for line in reply.content:
            if line.startswith(b"data: {"):
                chunk = orjson.loads(line[6:])
                if chunk["choices"]:
                    text.append(chunk["choices"][0]["delta"].get("content") or "")
        if not "".join(text):
            raise SystemExit("the bare client got no answer")


JSON = {"content-type": "application/json"}


async def _post(session: aiohttp.ClientSession, url: str, body: Mapping[str, object]) -> object:
    async with session.post(url, data=orjson.dumps(body), headers=JSON) as reply:
        if reply.status != 200:
            raise SystemExit(f"{url} answered {reply.status}: {await reply.text()}")
        return orjson.loads(await reply.read())


async def drive(
    call: Callable[[], Awaitable[None]], *, concurrency: int, requests: int
) -> tuple[list[float], float]:
    """Latencies in ms, and requests/s, of `requests` calls by `concurrency` workers."""
    latencies: list[float] = []
    left = iter(range(requests))

    async def worker() -> None:
        for _ in left:
            start = time.perf_counter()
            await call()
            latencies.append((time.perf_counter() - start) * 1e3)

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return latencies, requests / (time.perf_counter() - start)


async def measure_gateway(target: Target, pid: int) -> list[dict[str, str | float]]:
    rows: list[dict[str, str | float]] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for label, stream in (("gateway", False), ("gateway, streamed", True)):
            call = partial(through_gateway, session, target, stream=stream)
            rows += [
                await measure(label, call, psutil.Process(pid), concurrency) for concurrency in CONCURRENCY
            ]
    return rows


async def measure_bare(target: Target) -> dict[str, str | float]:
    async with aiohttp.ClientSession() as session:
        return await measure("bare client", partial(bare, session, target), psutil.Process(), 1)


async def measure(
    label: str, call: Callable[[], Awaitable[None]], process: psutil.Process, concurrency: int
) -> dict[str, str | float]:
    """Drive warm; the CPU is that of `process`."""
    await drive(call, concurrency=concurrency, requests=WARM_UP)
    before = _cpu(process)
    latencies, rate = await drive(call, concurrency=concurrency, requests=REQUESTS[concurrency])
    cpu = (_cpu(process) - before) / REQUESTS[concurrency] * 1e3
    return _row(label, concurrency, latencies, rate, cpu)


def _row(
    label: str, concurrency: int, latencies: list[float], rate: float, cpu: float
) -> dict[str, str | float]:
    return {
        "client": label,
        "concurrency": str(concurrency),
        "p50 ms": statistics.median(latencies),
        "p99 ms": percentile(latencies, 0.99),
        "requests/s": rate,
        "cpu ms/request": cpu,
    }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def stack(tokens: int) -> Iterator[tuple[Target, int]]:
    """Four fakes and a gateway, each its own process; the answer has `tokens` tokens."""
    services = ("embedding", "retrieval", "reranking", "generation")
    ports = free_ports([*services, "gateway"])
    environment = {
        **copy_environment(),
        "EMBEDDING_BACKEND": "fake",
        "VECTOR_URL": "memory://",
        "RERANKING_BACKEND": "fake",
        "LLM_ENGINE": "fake",
        "LLM_CONCURRENCY": "64",
        "LLM_SERVER_CONCURRENCY": "64",
        "FAKE_TOKENS": str(tokens),
        "FAKE_TOKENS_PER_SECOND": "0",
        "RELEVANCE_FLOOR": "0",
        "LOG_LEVEL": "warning",
    }
    with tempfile.TemporaryDirectory() as folder:
        running = Stack(Path(folder), environment, ports)
        with running:
            for name in (*services, "gateway"):
                running.start(name)
            running.wait_ready(120, services)
            target = Target(ports)
            uvloop.run(fill(target))
            pid = running.pid("gateway")
            if pid is None:
                raise SystemExit("the gateway died")
            yield target, pid


async def fill(target: Target) -> None:
    """Store passages of a realistic length."""
    sentence = (
        "A pound of feathers weighs as much as a pound of bricks, number {}. " + "It fills more room. " * 30
    )
    async with aiohttp.ClientSession() as session:
        texts = [sentence.format(number) for number in range(PASSAGES)]
        encoded = await _post(session, target.url("embedding", "/v1/encode"), {"inputs": texts})
        assert isinstance(encoded, dict)
        passages = [
            {
                "passage": {
                    "id": f"00000000-0000-0000-0000-{n:012d}",
                    "document_id": "doc",
                    "text": text,
                    "title": "a.md",
                    "end": len(text),
                    "index": n,
                },
                "vector": vector,
            }
            for n, (text, vector) in enumerate(zip(texts, encoded["embeddings"], strict=True))
        ]
        await _post(
            session,
            target.url("retrieval", "/v1/passages"),
            {"model": encoded["model"], "passages": passages},
        )


def bare_in_its_own_process(target: Target) -> dict[str, str | float]:
    done = subprocess.run(
        [sys.executable, __file__, "--bare", json.dumps(target.ports)],
        check=True,
        capture_output=True,
        text=True,
    )
    row: dict[str, str | float] = json.loads(done.stdout)
    return row


def main() -> None:
    rows: list[dict[str, str | float]] = []
    per_tokens = {}
    for tokens in (SHORT, LONG):
        with stack(tokens) as (target, pid):
            measured = [bare_in_its_own_process(target), *uvloop.run(measure_gateway(target, pid))]
            rows += [{"answer tokens": str(tokens), **row} for row in measured]
            per_tokens[tokens] = {(row["client"], row["concurrency"]): row for row in measured}
    report("gateway", "The chain over fake services", rows, n=REQUESTS[1], note=_verdict(per_tokens))


def _verdict(
    per_tokens: Mapping[int, Mapping[tuple[str | float, str | float], Mapping[str, str | float]]],
) -> str:
    def figure(tokens: int, client: str, column: str) -> float:
        return float(per_tokens[tokens][client, "1"][column])

    added = figure(SHORT, "gateway", "p50 ms") - figure(SHORT, "bare client", "p50 ms")
    ratio = figure(SHORT, "gateway", "cpu ms/request") / figure(SHORT, "bare client", "cpu ms/request")
    chunk = {
        client: (figure(LONG, client, "cpu ms/request") - figure(SHORT, client, "cpu ms/request"))
        / (LONG - SHORT)
        * 1e3
        for client in ("gateway, streamed", "bare client")
    }
    return (
        f"At concurrency 1, one-token answers: the gateway adds {added:.2f} ms at p50 and takes {ratio:.2f} times "
        f"the bare client's CPU.\nStreaming costs {chunk['gateway, streamed']:.0f} us of CPU a chunk in the gateway, "
        f"{chunk['bare client']:.0f} us in the bare client, which reads and does not write."
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        print(json.dumps(uvloop.run(measure_bare(Target(json.loads(sys.argv[2]))))))
    else:
        main()
