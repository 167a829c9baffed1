"""Dataprep, retrieval and a fake embedding service as real processes that a test may kill at any moment."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.cli.local import process
from services.cli.local.stack import Stack
from tests.ports import free_ports
from tests.redis_server import RedisServer

READY_SECONDS = 180
"""As long as a service may take to start on a machine that has twenty other things to do."""
SERVICES = ("embedding", "retrieval", "dataprep")
PATIENT = 150.0
"""For a machine that is busy with other things: what is waited for takes a few seconds on an idle one."""

CHUNKS = {"chunk_size": "80", "chunk_overlap": "0"}

Files = dict[str, list[str]]
"""Paragraphs by name; each becomes a passage of its own."""


def content(paragraphs: list[str]) -> bytes:
    return "\n\n".join(paragraphs).encode()


@dataclass
class Ingestion:
    """`workers` are the stacks with a dataprep each; the first one has the other services too."""

    workers: list[Stack]
    redis: RedisServer | None
    jobs: list[str] = field(default_factory=list)
    acknowledged: Files = field(default_factory=dict)

    @property
    def stack(self) -> Stack:
        return self.workers[0]

    @property
    def retrieval(self) -> str:
        return self.stack.url("retrieval")

    def submit(self, files: Files) -> str:
        """Until a dataprep accepts them; the job's id. `acknowledged` holds what a 202 was had for."""
        form = [("files", (name, content(paragraphs))) for name, paragraphs in files.items()]
        end = time.monotonic() + PATIENT
        for attempt in range(10_000):
            url = self.workers[attempt % len(self.workers)].url("dataprep")
            try:
                reply = httpx.post(f"{url}/v1/jobs", files=form, data=CHUNKS, timeout=10)
            except httpx.TransportError:
                reply = None
            if reply is not None and reply.status_code == 202:
                break
            assert reply is None or reply.status_code >= 429, reply.text
            assert time.monotonic() < end
            time.sleep(0.1)
        self.acknowledged |= files
        self.jobs.append(reply.json()["id"])
        return self.jobs[-1]

    def finished(self) -> list[dict[str, Any]]:
        """Every job that was accepted, once all have finished."""
        end = time.monotonic() + PATIENT
        done: dict[str, dict[str, Any]] = {}
        while len(done) < len(self.jobs):
            for id_ in self.jobs:
                if id_ not in done:
                    reply = httpx.get(f"{self.stack.url('dataprep')}/v1/jobs/{id_}", timeout=10)
                    assert reply.status_code == 200, f"an accepted job is unknown: {reply.text}"
                    job = reply.json()
                    if job["finished_at"]:
                        done[id_] = job
            assert time.monotonic() < end, [job for job in self.jobs if job not in done]
            time.sleep(0.05)
        return [done[id_] for id_ in self.jobs]

    def passages(self) -> dict[str, list[str]]:
        """What readers see: the texts of each document, in order."""
        found: list[dict[str, Any]] = []
        after = None
        while True:
            query = {"limit": "256"} | ({"after": after} if after else {})
            page = httpx.get(f"{self.retrieval}/v1/passages", params=query, timeout=30).json()
            found += page["passages"]
            after = page["next"]
            if after is None:
                break
        texts: dict[str, list[str]] = {}
        for passage in sorted(found, key=lambda each: (each["title"], each["index"])):
            texts.setdefault(passage["title"], []).append(passage["text"])
        return texts


class Chaos(threading.Thread):
    """Kills these, one choice after the other at random moments, and starts them again."""

    def __init__(self, ingestion: Ingestion, seed: int, choices: list[tuple[str, ...]]) -> None:
        super().__init__(daemon=True)
        self._ingestion = ingestion
        self._random = random.Random(seed)
        self._left = choices
        self._random.shuffle(self._left)
        self.kills = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for choice in self._left:
                time.sleep(self._random.uniform(0, 0.8))
                self._kill(choice)
                self.kills += 1
            for stack in self._ingestion.workers:
                stack.wait_ready(READY_SECONDS)
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.error = error

    def _kill(self, names: tuple[str, ...]) -> None:
        redis = self._ingestion.redis
        if redis is not None and "redis" in names:
            redis.kill()
        victims = [(self._stack(name), name.rstrip("2")) for name in names if name != "redis"]
        for stack, name in victims:
            record = stack.running.get(name)
            assert record is not None, f"{name} does not run: {stack.log_tail(name)}"
            os.kill(record.pid, 9)
            assert process.wait_gone(record.pid, record.started, READY_SECONDS)
        time.sleep(self._random.uniform(0, 0.3))
        if redis is not None and "redis" in names:
            redis.start()
        for stack, name in victims:
            stack.start(name)
        if self._random.random() < 0.5:  # else the next kill may come while they start
            for stack, name in victims:
                stack.wait_ready(READY_SECONDS, [name])

    def _stack(self, name: str) -> Stack:
        return self._ingestion.workers[1 if name.endswith("2") else 0]


def under_chaos(ingestion: Ingestion, jobs: list[Files], chaos: Chaos) -> None:
    """Submit the jobs while services are killed, spread so that the last kill falls among the last jobs."""
    total = len(chaos._left)
    chaos.start()
    for number, files in enumerate(jobs):
        assert chaos.error is None, chaos.error
        while chaos.is_alive() and chaos.kills < number * total // len(jobs) - 1:
            time.sleep(0.01)
        ingestion.submit(files)
    chaos.join(PATIENT)
    assert chaos.error is None, chaos.error
    assert chaos.kills == total


@contextmanager
def running(
    folder: Path,
    env: Mapping[str, str],
    redis: RedisServer | None = None,
    services: Sequence[str] = SERVICES,
) -> Iterator[Ingestion]:
    """Started and ready; with a Redis two dataprep processes share its queue."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_PORT"))}
    stores = {"VECTOR_URL": f"edge://{folder}/vectors", "JOBS_URL": f"sqlite://{folder}/jobs"}
    if redis is not None:
        stores = {"VECTOR_URL": redis.url, "JOBS_URL": redis.url, "JOBS_LEASE_SECONDS": "3"}
    environment = {**inherited, "EMBEDDING_BACKEND": "fake", "DATAPREP_PARSERS": "1", **stores, **env}
    with ExitStack() as stack:
        first = stack.enter_context(Stack(folder, environment, free_ports(services), run=folder / "run"))
        for name in services:
            first.start(name)
        first.wait_ready(READY_SECONDS)
        workers = [first]
        if redis is not None:
            urls = {f"{name.upper()}_URL": first.url(name) for name in SERVICES[:2]}
            only = free_ports(["dataprep"])
            second = Stack(folder, {**environment, **urls}, only, run=folder / "run-2")
            workers.append(stack.enter_context(second))
            second.start("dataprep")
            second.wait_ready(READY_SECONDS)
        yield Ingestion(workers, redis)
