"""The retrieval service as a real process over its own disk: what survives it, and who owns the disk."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from services.core.client import HttpClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import Conflict, RaglineError, ServiceError
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from tests.ports import free_port
from tests.soak import SOAK

DIM = 16
MODEL = "test-model"
START_SECONDS = 30.0


@contextmanager
def process(directory: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A started `python -m services.retrieval`, killed at the end if it still runs."""
    port = free_port()
    environment = {**os.environ, "VECTOR_URL": f"edge://{directory}", "RETRIEVAL_PORT": str(port)}
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "services.retrieval"], env=environment, stdout=output, stderr=output
        )
    try:
        yield child, port
    finally:
        child.kill()
        child.wait()


async def until_alive(child: subprocess.Popen[bytes], client: RetrievalClient, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await client.ready()
            return
        except ServiceError:
            if child.poll() is not None or time.monotonic() > deadline:
                said = await asyncio.to_thread(log.read_text)
                pytest.fail(f"the service did not start: {said}")
            await asyncio.sleep(0.05)


@asynccontextmanager
async def service(
    directory: Path, log: Path
) -> AsyncIterator[tuple[subprocess.Popen[bytes], RetrievalClient]]:
    with process(directory, log) as (child, port):
        async with HttpClient("retrieval", f"http://127.0.0.1:{port}") as http:
            client = RetrievalClient(http)
            await until_alive(child, client, log)
            yield child, client


def tokens(seed: int) -> TokenVectors:
    raw = np.random.default_rng(seed).integers(-127, 128, (40, DIM)).astype(np.int8)
    return TokenVectors(data=raw.tobytes(), tokens=40, dim=DIM)


def batch(number: int, size: int = 20) -> list[StoredPassage]:
    rng = np.random.default_rng(number)
    return [
        StoredPassage(
            passage=Passage(id=f"{number}/{i}", document_id=f"d{number}", text=f"text {number}/{i}", index=i),
            vector=rng.standard_normal(DIM).tolist(),
            token_vectors=tokens(number * size + i),
        )
        for i in range(size)
    ]


@pytest.mark.soak
@pytest.mark.parametrize("seconds", [0.15, 0.3, 0.6, 1.2] if SOAK else [0.3])
async def test_whatever_was_acknowledged_survives_kill_9(tmp_path, seconds):
    store, log = tmp_path / "vectors", tmp_path / "log"
    acknowledged: list[int] = []
    begun = asyncio.Event()

    async with service(store, log) as (child, client):

        async def write(first: int) -> None:
            for number in range(first, 100_000, 2):
                await client.upsert("c", MODEL, batch(number))
                acknowledged.append(number)
                begun.set()

        writing = asyncio.gather(write(0), write(1), return_exceptions=True)
        await begun.wait()
        await asyncio.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        assert all(isinstance(outcome, RaglineError) for outcome in await writing)

    assert acknowledged
    async with service(store, log) as (child, client):
        stored = {document.id: document.passages for document in await client.documents("c")}
        assert {number: stored.get(f"d{number}") for number in acknowledged} == dict.fromkeys(
            acknowledged, 20
        )
        for number in acknowledged:
            passages = batch(number)
            found = await client.token_vectors("c", [each.passage.id for each in passages])
            assert found == {each.passage.id: each.token_vectors for each in passages}
            (best,) = await client.search("", passages[3].vector, k=1, collection="c")
            assert (best.id, best.text) == (passages[3].passage.id, passages[3].passage.text)
            assert best.score == pytest.approx(1, abs=1e-5)
        with pytest.raises(Conflict, match="other-model"):
            await client.upsert("c", "other-model", batch(0))


async def test_a_stop_and_a_start_keep_everything_also_what_was_deleted(tmp_path):
    store, log = tmp_path / "vectors", tmp_path / "log"
    async with service(store, log) as (child, client):
        await client.upsert("c", MODEL, batch(0) + batch(1))
        assert await client.delete("c", "d0") == 20
        child.terminate()
        assert await asyncio.to_thread(child.wait, 20) in {0, -signal.SIGTERM}
    async with service(store, log) as (child, client):
        assert [document.id for document in await client.documents("c")] == ["d1"]
        assert await client.token_vectors("c", ["0/1"]) == {}
        assert list(await client.token_vectors("c", ["1/1"])) == ["1/1"]


async def test_a_second_process_on_the_same_directory_is_refused_by_name(tmp_path):
    store, log = tmp_path / "vectors", tmp_path / "log"
    async with service(store, log) as (_, client):
        second_log = tmp_path / "second"
        with process(store, second_log) as (second, _):
            assert await asyncio.to_thread(second.wait, START_SECONDS) not in {0, None}
        said = second_log.read_text()
        assert f"the vector store in {store} is in use by another process" in said
        await client.upsert("c", MODEL, batch(0))
        assert len(await client.search("", batch(0)[0].vector, k=20, collection="c")) == 20
