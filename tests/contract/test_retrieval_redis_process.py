"""SIGKILL of Redis, of the retrieval service over it, and of both, while documents are replaced and deleted."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from services.core.client import HttpClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import RaglineError, ServiceError
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.soak import rounds

DIM = 16
MODEL = "test-model"
COLLECTION = "c"
START_SECONDS = 60.0


def revision(document: str, number: int) -> list[StoredPassage]:
    """Between 40 and 43 passages: two steps of the store, so that a kill can fall between them."""
    count = 40 + number % 4
    rng = np.random.default_rng([number, *document.encode()])
    data = rng.integers(-127, 128, (3, DIM)).astype(np.int8).tobytes()
    return [
        StoredPassage(
            passage=Passage(
                id=f"{document}/{number}/{i}",
                document_id=document,
                revision=str(number),
                text=f"passage {i} of revision {number}",
                index=i,
            ),
            vector=rng.standard_normal(DIM).tolist(),
            token_vectors=TokenVectors(data=data, tokens=3, dim=DIM),
        )
        for i in range(count)
    ]


@dataclass
class Document:
    """What readers must see: the last state that was acknowledged, or one that was asked for since."""

    name: str
    last: int = 0
    acknowledged: int | None = None
    possible: set[int | None] = field(default_factory=lambda: {None})
    acknowledgements: int = 0

    async def change(self, client: RetrievalClient) -> None:
        """Replace it, and every fifth time delete it instead."""
        self.last += 1
        if self.last % 5 == 0:
            self.possible.add(None)
            await client.delete(COLLECTION, self.name)
            self.acknowledge(None)
            return
        stored = revision(self.name, self.last)
        await client.upsert(COLLECTION, MODEL, stored, staged=True)
        self.possible.add(self.last)
        await client.publish(COLLECTION, self.name, str(self.last), passages=len(stored))
        self.acknowledge(self.last)

    def acknowledge(self, state: int | None) -> None:
        self.acknowledged, self.possible = state, {state}
        self.acknowledgements += 1

    def saw(self, state: int | None) -> None:
        assert state in self.possible, (self, state)
        self.acknowledged, self.possible = state, {state}


class Service:
    """`python -m services.retrieval` over this Redis, on one port however often it is started."""

    def __init__(self, url: str, log: Path) -> None:
        self.port = free_port()
        self._environment = {**os.environ, "VECTOR_URL": url, "RETRIEVAL_PORT": str(self.port)}
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "services.retrieval"]
            self._child = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)

    def kill(self) -> None:
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
            self._child = None


async def until_ready(client: RetrievalClient, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await client.ready()
            return
        except ServiceError as error:
            if time.monotonic() > deadline:
                said = await asyncio.to_thread(log.read_text)
                pytest.fail(f"the service is not ready: {error.message}\n{said[-2000:]}")
            await asyncio.sleep(0.02)


async def verify(client: RetrievalClient, documents: list[Document]) -> None:
    """Every document is one of its possible states, whole, in every kind of read; nothing else is there."""
    listed = {info.id: info for info in await client.documents(COLLECTION)}
    expected: dict[str, StoredPassage] = {}
    for document in documents:
        info = listed.pop(document.name, None)
        document.saw(None if info is None else int(info.revision))
        if info is not None:
            whole = revision(document.name, int(info.revision))
            assert info.passages == len(whole)
            expected |= {stored.passage.id: stored for stored in whole}
    assert listed == {}
    hits = await client.search("", [1.0] * DIM, k=1000, collection=COLLECTION)
    assert {hit.id for hit in hits} == set(expected)
    assert len(hits) == len(expected)
    scrolled = (await client.passages(COLLECTION, limit=1000)).passages
    assert {passage.id: passage for passage in scrolled} == {
        id_: stored.passage for id_, stored in expected.items()
    }
    vectors = await client.token_vectors(COLLECTION, list(expected)) if expected else {}
    assert vectors == {id_: stored.token_vectors for id_, stored in expected.items()}
    if expected:
        probe = random.Random(len(expected)).choice(list(expected.values()))
        (best,) = await client.search("", probe.vector, k=1, collection=COLLECTION)
        assert (best.id, best.score) == (probe.passage.id, pytest.approx(1, abs=1e-5))


@contextmanager
def running(redis_server: RedisServer, folder: Path) -> Iterator[Service]:
    service = Service(redis_server.url, folder / "retrieval.log")
    service.start()
    try:
        yield service
    finally:
        service.kill()


async def change_until_killed(
    client: RetrievalClient, documents: list[Document], changes: int, *victims: RedisServer | Service
) -> None:
    """Change all documents at once, and kill when so many changes were acknowledged: others are under way."""
    before = sum(document.acknowledgements for document in documents)

    def due() -> bool:
        return sum(document.acknowledgements for document in documents) - before >= changes

    async def change(document: Document) -> None:
        while True:
            await document.change(client)
            if due():
                for victim in victims:
                    victim.kill()

    outcomes = await asyncio.gather(*map(change, documents), return_exceptions=True)
    assert all(isinstance(outcome, RaglineError) for outcome in outcomes), outcomes


@pytest.mark.soak
async def test_whatever_is_killed_every_acknowledged_change_holds_and_nothing_else_is_seen(
    redis_server, tmp_path
):
    documents = [Document(f"d{number}") for number in range(4)]
    rng = random.Random(7)
    with running(redis_server, tmp_path) as service:
        async with HttpClient("retrieval", f"http://127.0.0.1:{service.port}") as http:
            client = RetrievalClient(http)
            await until_ready(client, service.log)
            victims: list[tuple[RedisServer | Service, ...]] = [(redis_server,), (service,)] * rounds(1, 3)
            victims += [(redis_server, service), (service, redis_server)]
            for killed in victims:
                await change_until_killed(client, documents, rng.randint(3, 9), *killed)
                for victim in killed:
                    victim.start()
                await until_ready(client, service.log)
                await verify(client, documents)
            for document in documents:
                await document.change(client)
            await verify(client, documents)
    assert sum(document.acknowledgements for document in documents) >= 3 * len(victims)
