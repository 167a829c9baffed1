"""What users see in a burst: many questions at once, files put in meanwhile, and two processes that keep the
machine busy. Every service is there, so nobody may be told that one is down.

The services are fakes with a real store and real jobs, each its own process; the client is one too.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import uvloop
from _report import report

from services.cli.local.probe import free_ports
from services.cli.local.stack import Stack
from services.core.settings import copy_environment

BURSTS = (200, 500)
UPLOADS = 50
BUSY_PROCESSES = 2
TOKENS, TOKENS_PER_SECOND = 40, 20
QUESTION = {"messages": [{"role": "user", "content": "how heavy is a pound of feathers?"}], "stream": True}
FILE = "A pound of feathers weighs as much as a pound of bricks, number {}. " + "It fills more room. " * 100
CLIENT_SECONDS = 300.0
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended: its status, or that of the error inside its stream, and what the error says."""

    status: int
    message: str
    retry_after: bool
    seconds: float

    @property
    def says_down(self) -> bool:
        """Whether it says that a service is down or may have died; all of them are there."""
        return "is down" in self.message or "may have died" in self.message


async def ask(session: aiohttp.ClientSession, url: str) -> Outcome:
    start = time.perf_counter()
    async with session.post(f"{url}/v1/chat/completions", json=QUESTION) as reply:
        body = await reply.read()
        return _outcome(reply, body, start, is_whole=body.endswith(b"data: [DONE]\n\n"))


async def put_in(session: aiohttp.ClientSession, url: str, number: int) -> Outcome:
    start = time.perf_counter()
    form = aiohttp.FormData()
    form.add_field("files", FILE.format(number).encode(), filename=f"{number}.txt", content_type="text/plain")
    async with session.post(f"{url}/v1/documents", data=form) as reply:
        return _outcome(reply, await reply.read(), start, is_whole=True)


def _outcome(reply: aiohttp.ClientResponse, body: bytes, start: float, *, is_whole: bool) -> Outcome:
    status, message = reply.status, ""
    if status != 200:
        message = orjson.loads(body)["error"]["message"]
    elif not is_whole:
        status, message = 0, body[-500:].decode()
    return Outcome(status, message, "retry-after" in reply.headers, time.perf_counter() - start)


async def burst(url: str, questions: int) -> tuple[list[Outcome], list[Outcome]]:
    """Send everything at once; return how the questions and the uploads ended."""
    timeout = aiohttp.ClientTimeout(total=CLIENT_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        outcomes = await asyncio.gather(
            *(ask(session, url) for _ in range(questions)),
            *(put_in(session, url, number) for number in range(UPLOADS)),
        )
    return list(outcomes[:questions]), list(outcomes[questions:])


def row(kind: str, questions: int, outcomes: Sequence[Outcome]) -> dict[str, str | float]:
    statuses = Counter(outcome.status for outcome in outcomes)
    answered = [outcome.seconds for outcome in outcomes if outcome.status == 200]
    late = [outcome for outcome in outcomes if outcome.status in {429, 503}]
    other = sum(count for status, count in statuses.items() if status not in {200, 429})
    for message, count in Counter(o.message for o in outcomes if o.status not in {200, 429}).most_common(5):
        print(f"  {count} x {message}", file=sys.stderr)
    return {
        "burst": str(questions),
        "requests": kind,
        "n": str(len(outcomes)),
        "200": str(statuses[200]),
        "429": str(statuses[429]),
        "other": str(other),
        "false down": str(sum(outcome.says_down for outcome in outcomes)),
        "without Retry-After": str(sum(not outcome.retry_after for outcome in late)),
        "p50 s": statistics.median(answered) if answered else 0.0,
        "longest s": max(answered, default=0.0),
    }


@contextmanager
def busy_machine() -> Iterator[None]:
    """Keep as many cores busy as there are processes."""
    command = [sys.executable, "-c", "while True: sum(range(100000))"]
    processes = [subprocess.Popen(command) for _ in range(BUSY_PROCESSES)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def stack(more: Mapping[str, str] = NOTHING) -> Iterator[tuple[str, Stack]]:
    """All services, with more variables: the gateway's address, and the services themselves."""
    services = ("embedding", "retrieval", "reranking", "generation", "dataprep")
    ports = free_ports([*services, "gateway"])
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **copy_environment(),
            "RAGLINE_HOME": folder,
            "EMBEDDING_BACKEND": "fake",
            "VECTOR_URL": "memory://",
            "RERANKING_BACKEND": "fake",
            "LLM_ENGINE": "fake",
            "LLM_CONCURRENCY": "64",
            "LLM_QUEUE": "1000",
            "FAKE_TOKENS": str(TOKENS),
            "FAKE_TOKENS_PER_SECOND": str(TOKENS_PER_SECOND),
            "RELEVANCE_FLOOR": "0",
            "LOG_LEVEL": "warning",
            **more,
        }
        running = Stack(Path(folder), environment, ports)
        with running:
            for name in (*services, "gateway"):
                running.start(name)
            running.wait_ready(120, [*services, "gateway"])
            yield f"http://127.0.0.1:{ports['gateway']}", running


def main() -> None:
    rows: list[dict[str, str | float]] = []
    sizes = [int(size) for size in sys.argv[1:]] or list(BURSTS)
    for questions in sizes:
        with stack() as (url, _):
            uvloop.run(burst(url, 8))  # warm
            with busy_machine():
                answers, uploads = uvloop.run(burst(url, questions))
        rows += [row("questions", questions, answers), row("uploads", questions, uploads)]
    bad = sum(int(str(one["false down"])) + int(str(one["without Retry-After"])) for one in rows)
    report(
        "burst",
        f"Bursts of questions with {UPLOADS} uploads, beside {BUSY_PROCESSES} busy processes",
        rows,
        n=max(sizes),
        note="Every service was there all the time."
        if not bad
        else "A service that was there was called down.",
    )
    if bad:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
