"""SIGKILL of the retrieval process while documents are staged, published and deleted: what was acknowledged holds."""

from __future__ import annotations

import asyncio
import random
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from services.core.clients.retrieval import RetrievalClient
from services.core.errors import RaglineError
from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from tests.contract.test_retrieval_process import DIM, MODEL, service, tokens
from tests.soak import rounds

KILLS = rounds(2, 4)
DOCUMENTS = 4
SIZE = 12


def revision(document: str, number: int) -> list[StoredPassage]:
    rng = np.random.default_rng(number)
    return [
        StoredPassage(
            passage=Passage(
                id=f"{document}/{number}/{i}",
                document_id=document,
                text=f"passage {i} of {document} in revision {number}",
                revision=str(number),
                index=i,
            ),
            vector=rng.standard_normal(DIM).tolist(),
            token_vectors=tokens(i),
        )
        for i in range(SIZE)
    ]


@dataclass
class Document:
    """What was acknowledged of one document, and what was asked for and not answered yet."""

    name: str
    progress: asyncio.Semaphore
    seen: int | None = None
    asked: int | None = None
    asking: bool = False
    staged: int | None = None
    last: int = 0

    def possible(self) -> set[int | None]:
        return {self.seen, self.asked} if self.asking else {self.seen}

    async def live(self, client: RetrievalClient, chance: random.Random) -> None:
        """Stage in two parts, publish, at times delete, until the process is gone."""
        while True:
            self.staged = None
            self.last += 1
            passages = revision(self.name, self.last)
            await client.upsert("c", MODEL, passages[: SIZE // 2], staged=True)
            await client.upsert("c", MODEL, passages[SIZE // 2 :], staged=True)
            self.staged = self.last
            await self.ask(client.publish("c", self.name, str(self.last), passages=SIZE), self.last)
            self.staged = None
            if chance.random() < 0.3:
                await self.ask(client.delete("c", self.name), None)

    async def ask(self, call, outcome: int | None) -> None:
        self.asked, self.asking = outcome, True
        await call
        self.seen, self.asking = outcome, False
        self.progress.release()

    async def check(self, client: RetrievalClient) -> None:
        """One of the possible states, whole, in every kind of answer; and what was staged can be published."""
        listed = {info.id: info for info in await client.documents("c")}
        found = listed.get(self.name)
        state = None if found is None else int(found.revision)
        assert state in self.possible(), self
        assert found is None or found.passages == SIZE
        self.seen, self.asking = state, False
        wanted = {f"{self.name}/{state}/{i}" for i in range(SIZE)} if state else set()
        assert {id_ for id_ in await everything(client) if id_.startswith(f"{self.name}/")} == wanted
        ids = [f"{self.name}/{self.last}/{i}" for i in range(SIZE)]
        if self.staged is not None and state != self.staged:
            await self.ask(client.publish("c", self.name, str(self.staged), passages=SIZE), self.staged)
        if self.seen == self.last:
            found_tokens = await client.token_vectors("c", ids)
            assert found_tokens == {id_: tokens(i) for i, id_ in enumerate(ids)}
        self.staged = None


def builders(store: Path) -> set[int]:
    """The parents of the processes that build a graph in this store: none outlives its own."""
    found = psutil.process_iter(["cmdline", "ppid"])
    return {
        each.info["ppid"] for each in found if any(str(store) in part for part in each.info["cmdline"] or ())
    }


async def everything(client: RetrievalClient) -> list[str]:
    """The id of every passage that a search and that a listing find, which must be the same."""
    hits = await client.search("passage", [1.0] * DIM, k=1000, collection="c")
    page = await client.passages("c", limit=1000)
    assert sorted(hit.id for hit in hits) == sorted(each.id for each in page.passages)
    assert page.next is None
    return [hit.id for hit in hits]


@pytest.mark.soak
@pytest.mark.parametrize("index_from", [0, 20], ids=["exact", "graphs built all the time"])
async def test_acknowledged_publishes_and_deletions_survive_kills_at_random_moments(
    tmp_path, monkeypatch, index_from
):
    monkeypatch.setenv("RETRIEVAL_INDEX_FROM", str(index_from))
    store, log = tmp_path / "vectors", tmp_path / "log"
    chance = random.Random(20261124)
    progress = asyncio.Semaphore(0)
    documents = [Document(f"d{i}", progress) for i in range(DOCUMENTS)]
    for kill in range(KILLS + 1):
        async with service(store, log) as (child, client):
            if kill:
                assert builders(store) <= {child.pid}
                for document in documents:
                    await document.check(client)
            if kill == KILLS:
                break
            living = [asyncio.ensure_future(document.live(client, chance)) for document in documents]
            for _ in range(2):
                await progress.acquire()
            await asyncio.sleep(chance.uniform(0, 0.4))
            child.send_signal(signal.SIGKILL)
            for outcome in await asyncio.gather(*living, return_exceptions=True):
                assert isinstance(outcome, RaglineError), outcome
