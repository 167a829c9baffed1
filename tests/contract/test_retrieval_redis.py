"""The Redis store over a real server: failures by name, restarts, several replicas, and what stays behind."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from structlog.testing import capture_logs

from services.core.addresses import StoreAddress
from services.core.client import HttpClient
from services.core.clients.retrieval import RetrievalClient
from services.core.context import start_request
from services.core.errors import InvalidRequest, NotFound, ServiceError, ServiceUnavailable
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.retrieval.app import create as create_app
from services.retrieval.backend import Query
from services.retrieval.backends.memory import MemoryStore
from services.retrieval.backends.redis import RedisStore, create
from services.retrieval.settings import VECTOR_URL, Settings
from tests.contract.conftest import running
from tests.redis_server import RedisServer

DIM = 8
MODEL = "test-model"
T = TypeVar("T")


def passages(document: str, revision: int, count: int, *, tokens: bool = False) -> list[StoredPassage]:
    rng = np.random.default_rng(revision)
    vectors = TokenVectors(data=bytes(range(3 * DIM)), tokens=3, dim=DIM) if tokens else None
    return [
        StoredPassage(
            passage=Passage(
                id=f"{document}/{revision}/{i}",
                document_id=document,
                revision=str(revision),
                text=f"text {i} of {document}",
                index=i,
            ),
            vector=rng.standard_normal(DIM).tolist(),
            token_vectors=vectors,
        )
        for i in range(count)
    ]


async def found(store: RedisStore, k: int = 1000) -> set[str]:
    return {hit.id for hit in (await store.search("c", Query(vector=[1.0] * DIM, k=k))).dense}


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """What the call returns when it is no longer refused with a 503."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except ServiceUnavailable:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[RedisStore]:
    store = await create(StoreAddress.parse(VECTOR_URL, server.url))
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[RedisStore]:
    """On an empty server, which runs whatever the test before did to it."""
    redis_server.kill()
    redis_server.start()
    redis_server.flush()
    async with opened(redis_server) as store:
        yield store


@contextmanager
def another(directory: Path, **options) -> Iterator[RedisServer]:
    server = RedisServer(directory, **options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def test_a_server_that_is_down_is_a_503_by_name_until_it_is_back(redis_server, store):
    await store.upsert("c", MODEL, passages("d", 1, 3))
    with running(create_app(Settings(vector_url=redis_server.url))) as url:
        async with HttpClient("retrieval", url) as http:
            client = RetrievalClient(http)
            await client.ready()
            redis_server.kill()
            named = f"the vector store .Redis at 127.0.0.1:{redis_server.port}, VECTOR_URL. does not answer"
            for _ in range(2):
                with pytest.raises(ServiceUnavailable, match=named):
                    await client.documents("c")
                with pytest.raises(ServiceUnavailable, match=named):
                    await client.upsert("c", MODEL, passages("e", 1, 1))
                with pytest.raises(ServiceUnavailable, match="retrieval waits for the vector store"):
                    await client.ready()
            redis_server.start()
            await client.ready()
            assert [document.passages for document in await client.documents("c")] == [3]
            await client.upsert("c", MODEL, passages("e", 1, 1))
    assert len(await found(store)) == 4


async def test_a_wrong_password_is_named(tmp_path, monkeypatch):
    with another(tmp_path, password="sesame") as server:  # noqa: S106
        for password in ("", "wrong"):
            monkeypatch.setenv("REDIS_PASSWORD", password)
            async with opened(server) as store:
                with pytest.raises(ServiceError, match=r"VECTOR_URL.*set REDIS_PASSWORD"):
                    await store.ready()
        monkeypatch.setenv("REDIS_PASSWORD", "sesame")
        async with opened(server) as store:
            await store.ready()


async def test_a_server_without_the_search_module_is_named(tmp_path):
    with another(tmp_path, search=False) as server:
        async with opened(server) as store:
            for call in (store.ready(), store.upsert("c", MODEL, passages("d", 1, 1))):
                with pytest.raises(ServiceUnavailable, match="no search module: VECTOR_URL needs Redis 8"):
                    await call


@pytest.mark.parametrize("text", ["redis:", "redis:///0", "redis://host/0/1", "redis://host/x"])
async def test_a_url_that_names_no_server_is_refused(text):
    with pytest.raises(InvalidRequest, match="VECTOR_URL must look like redis://host:6379/0"):
        await create(StoreAddress.parse(VECTOR_URL, text))


async def test_another_database_than_0_is_refused():
    with pytest.raises(InvalidRequest, match=r"VECTOR_URL names database 1.*redis://host:6379/0"):
        await create(StoreAddress.parse(VECTOR_URL, "redis://host/1"))


async def test_replicas_see_each_others_steps_at_once(redis_server, store):
    async with opened(redis_server) as other:
        await asyncio.gather(
            *(each.upsert("c", MODEL, passages("d", 1, 5)) for each in (store, other) for _ in range(3))
        )
        await other.upsert("c", MODEL, passages("d", 2, 4), staged=True)
        assert await found(store) == {f"d/1/{i}" for i in range(5)}
        assert sorted(await asyncio.gather(*(s.publish("c", "d", "2") for s in (store, other)))) == [0, 5]
        assert await found(store) == await found(other) == {f"d/2/{i}" for i in range(4)}
        await other.upsert("new", MODEL, passages("d", 3, 1))
        await other.set_alias("c", "new", replace_collection=True)
        assert await found(store) == {"d/3/0"}
        await other.delete_alias("c")
        with pytest.raises(NotFound):
            await found(store)


async def test_a_search_waits_for_an_index_that_is_built_again(redis_server, store):
    """As after a start on a snapshot, where the server scans its passages in the background."""
    everything = set()
    for number in range(10):
        await store.upsert("c", MODEL, passages(f"d{number}", number, 300))
        everything |= {f"d{number}/{number}/{i}" for i in range(300)}
    whole = await found(store, k=3000)
    assert whole == everything
    for first in (lambda: found(store), store.ready):
        with redis_server.client() as client:
            (index,) = client.execute_command("FT._LIST")
            client.execute_command("FT.DROPINDEX", index)
        with pytest.raises(ServiceUnavailable, match="is still building its index: "):
            await first()
        assert await patiently(lambda: found(store, k=3000)) == everything
        await store.ready()


async def test_everything_is_there_after_a_start_on_a_rewritten_file(redis_server, store):
    await store.upsert("c", MODEL, passages("d", 1, 200, tokens=True))
    await store.upsert("c", MODEL, passages("e", 1, 7), staged=True)
    await store.set_alias("a", "c")
    with redis_server.client() as client:
        client.bgrewriteaof()
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.01)  # noqa: ASYNC251 - nothing else runs here
    redis_server.kill()
    redis_server.start()
    await patiently(store.ready)
    assert await found(store) == {f"d/1/{i}" for i in range(200)}
    assert len(await store.token_vectors("a", [f"d/1/{i}" for i in range(200)])) == 200
    assert await store.publish("a", "e", "1", passages=7) == 0


def keys(server: RedisServer) -> set[str]:
    with server.client() as client:
        return {key.decode() for key in client.scan_iter(count=1000)}


async def test_what_was_replaced_and_deleted_leaves_no_keys(redis_server, store):
    await store.upsert("c", MODEL, [*passages("d", 0, 40, tokens=True), *passages("still", 0, 3)])
    before = {key for key in keys(redis_server) if ":r:" not in key and ":p:" not in key}
    for number in range(1, 21):
        await store.upsert("c", MODEL, passages("d", number, 40, tokens=True), staged=True)
        await store.publish("c", "d", str(number))
        await store.upsert("c", MODEL, passages("gone", number, 5))
        await store.delete("c", "gone")
    await store._purger.deletions.wait_idle()
    after = keys(redis_server)
    assert {key for key in after if ":r:" not in key and ":p:" not in key} == before - {"ragline::hidden"}
    assert len([key for key in after if ":p:" in key]) == 43
    assert len([key for key in after if ":r:" in key]) == 2
    await store.drop("c")
    await store._purger.deletions.wait_idle()
    assert keys(redis_server) == set()


async def test_deletions_that_were_cut_off_are_finished_by_whoever_comes_next(redis_server, store):
    await store.upsert("c", MODEL, passages("d", 1, 100))
    await store.upsert("gone", MODEL, passages("d", 1, 100))
    await store.delete("c", "d")
    await store.drop("gone")
    await store.close()
    assert [key for key in keys(redis_server) if ":p:" in key]
    async with opened(redis_server) as other:
        await other.ready()
        await other._purger.deletions.wait_idle()
    assert {key.rpartition(":")[2] for key in keys(redis_server)} == {"collections"}


async def test_a_deadline_cuts_a_server_that_does_not_answer(redis_server, store):
    await store.upsert("c", MODEL, passages("d", 1, 1))

    async def search() -> None:
        start_request("r", 0.2)
        await found(store)

    with redis_server.client() as client:
        client.execute_command("CLIENT", "PAUSE", 1500, "ALL")
    with pytest.raises(ServiceError, match=r"VECTOR_URL.*did not finish before the deadline"):
        await asyncio.create_task(search())
    assert await found(store) == {"d/1/0"}


@pytest.mark.parametrize("index", ["flat", "hnsw"])
async def test_both_kinds_of_index_find_the_nearest(redis_server, store, monkeypatch, index):
    monkeypatch.setenv("REDIS_VECTOR_INDEX", index)
    async with opened(redis_server) as chosen:
        await chosen.upsert("c", MODEL, passages("d", 1, 300))
        wanted = passages("d", 1, 300)[17]
        found = await chosen.search("c", Query(vector=wanted.vector, k=5, where={"document_id": "d"}))
        assert found.dense[0].id == wanted.passage.id
        assert found.dense[0].score == pytest.approx(1, abs=1e-5)
    with redis_server.client() as client:
        (name,) = client.execute_command("FT._LIST")
        assert index.upper().encode() in str(client.execute_command("FT.INFO", name)).encode()


async def test_token_vectors_can_be_left_out(redis_server, store, monkeypatch):
    monkeypatch.setenv("REDIS_TOKEN_VECTORS", "false")
    async with opened(redis_server) as sparing:
        await sparing.upsert("c", MODEL, passages("d", 1, 2, tokens=True))
        assert await sparing.token_vectors("c", ["d/1/0", "d/1/1"]) == {}


async def test_scores_are_those_of_an_exact_search_whatever_was_replaced_before(store):
    """By the same passages in the store that scores every one of them; also after others were deleted."""
    exact = MemoryStore()
    rng = random.Random(5)
    vocabulary = [f"word{number}x" for number in range(300)]
    common = [1 / (rank + 2) for rank in range(300)]

    def written(document: str, revision: int) -> list[StoredPassage]:
        stored = passages(document, revision, 30)
        return [
            each.model_copy(
                update={
                    "passage": each.passage.model_copy(
                        update={"text": " ".join(rng.choices(vocabulary, common, k=rng.randint(5, 300)))}
                    )
                }
            )
            for each in stored
        ]

    for number in range(9):
        batch = written(f"d{number}", number)
        for each in (store, exact):
            await each.upsert("c", MODEL, batch)
    for each in (store, exact):
        await each.delete("c", "d3")
    for revision in range(100, 115):
        replaced = written("d5", revision)
        for each in (store, exact):
            await each.upsert("c", MODEL, replaced, staged=True)
            await each.publish("c", "d5", str(revision))
    await store._purger.deletions.wait_idle()
    for where in (None, {"document_id": ["d1", "d5", "d7"]}):
        for _ in range(8):
            text = " ".join(rng.choices(vocabulary, k=6))
            query = Query(vector=[rng.random() for _ in range(DIM)], text=text, k=10, where=where)
            found, expected = await store.search("c", query), await exact.search("c", query)
            assert [hit.score for hit in found.dense] == pytest.approx(
                [hit.score for hit in expected.dense], abs=1e-5
            )
            assert [hit.sparse_score for hit in found.sparse] == pytest.approx(
                [hit.sparse_score for hit in expected.sparse], rel=1e-4
            )
            exactly = await exact.search("c", replace(query, k=1000))
            cosines = {hit.id: hit.score for hit in exactly.dense}
            for hit in found.sparse:  # passages with the same score come in any order
                assert hit.score == pytest.approx(cosines[hit.id], abs=1e-5)


async def test_a_configuration_that_loses_passages_is_warned_of_once(redis_server, store):
    async def warned() -> list[str]:
        async with opened(redis_server) as fresh:
            with capture_logs() as logs:
                await fresh.ready()
                await fresh.ready()
        return [str(each["reason"]) for each in logs if each["log_level"] == "warning"]

    assert await warned() == []
    with redis_server.client() as client:
        client.config_set("appendfsync", "everysec")
    (late,) = await warned()
    assert "set `appendfsync always`" in late
    with redis_server.client() as client:
        client.config_set("appendonly", "no")
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    file, eviction = await warned()
    assert "set `appendonly yes`" in file
    assert "set `noeviction`" in eviction
