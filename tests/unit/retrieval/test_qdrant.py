"""The Qdrant backend's failures, by the real client against a local stand-in that answers badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata
from qdrant_client import AsyncQdrantClient

from services.core.addresses import StoreAddress
from services.core.context import start_request
from services.core.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    ServiceError,
    ServiceUnavailable,
)
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backend import Query
from services.retrieval.backends.qdrant import QdrantStore, create
from services.retrieval.backends.qdrant.collections import MODEL
from services.retrieval.backends.qdrant.connection import translate
from services.retrieval.settings import VECTOR_URL
from tests.ports import free_port

PASSAGE = StoredPassage(passage=Passage(id="p", document_id="d", text="t"), vector=[1.0, 0.0])


async def search(store, name, vector, *, k, where=None) -> list[Passage]:
    return (await store.search(name, Query(vector=vector, k=k, where=where))).dense


def description(metadata: dict[str, str]) -> dict[str, object]:
    params = {"vectors": {"dense": {"size": 2, "distance": "Cosine"}}}
    hnsw = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000}
    optimizers = {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0}
    config = {
        "params": params,
        "hnsw_config": hnsw,
        "optimizer_config": {**optimizers, "flush_interval_sec": 5},
        "metadata": metadata,
    }
    return {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "config": config,
        "payload_schema": {},
    }


class Server:
    """Answers `METHOD path` as told, everything else with `status`; remembers what it was sent."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.replies: dict[str, tuple[int, object]] = {}
        self.keys: set[str | None] = set()
        self.delay = 0.0

    def describe(self, name: str, metadata: dict[str, str]) -> None:
        self.replies[f"GET /collections/{name}/exists"] = (200, {"exists": True})
        self.replies[f"GET /collections/{name}"] = (200, description(metadata))
        nothing = {"points": [], "next_page_offset": None}
        self.replies[f"POST /collections/{name}/points/scroll"] = (200, nothing)

    async def handle(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers.get("api-key"))
        await asyncio.sleep(self.delay)
        status, result = self.replies.get(f"{request.method} {request.path}", (self.status, None))
        headers = {"Retry-After": "7"} if status == 429 else {}
        body = {"result": result, "status": "ok" if status == 200 else {"error": "told to"}, "time": 0.0}
        return web.json_response(body, status=status, headers=headers)


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[QdrantStore]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    store = await create(StoreAddress.parse(VECTOR_URL, f"qdrant://127.0.0.1:{port}"))
    try:
        yield store
    finally:
        await store.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, ServiceError, "QDRANT_API_KEY"),
        (403, ServiceError, "QDRANT_API_KEY"),
        (429, ServiceUnavailable, "overloaded"),
        (500, ServiceError, "could not describe the collection.*told to"),
        (503, ServiceUnavailable, "does not answer"),
    ],
)
async def test_a_bad_reply_is_named(status, kind, says):
    async with serving(Server(status)) as store:
        with pytest.raises(kind, match=says) as caught:
            await store.upsert("c", "m", [PASSAGE])
    assert type(caught.value) is kind
    assert caught.value.retry_after == (7.0 if status == 429 else None)


async def test_a_server_that_is_down_is_named():
    port = free_port()
    store = await create(StoreAddress.parse(VECTOR_URL, f"qdrant://127.0.0.1:{port}"))
    with pytest.raises(ServiceUnavailable, match=f"127.0.0.1:{port} does not answer"):
        await store.ready()
    await store.close()


async def test_a_slow_server_is_cut_at_the_deadline():
    server = Server()
    server.delay = 1
    async with serving(server) as store:

        async def slow() -> None:
            start_request("r", 0.1)
            await search(store, "c", [1.0, 0.0], k=1)

        with pytest.raises(DeadlineExceeded, match="Qdrant"):
            await asyncio.wait_for(slow(), 3)
        server.delay = 0


async def test_the_api_key_is_sent(monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "sesame")
    server = Server()
    server.replies["GET /collections"] = (200, {"collections": []})
    with pytest.warns(UserWarning, match="insecure"):
        async with serving(server) as store:
            await store.ready()
    assert server.keys == {"sesame"}


async def test_a_collection_of_someone_else_is_left_alone():
    server = Server()
    server.describe("theirs", {})
    server.describe("ours", {MODEL: "m"})
    server.replies["GET /collections"] = (200, {"collections": [{"name": "theirs"}, {"name": "ours"}]})
    server.replies["GET /aliases"] = (200, {"aliases": []})
    server.replies["POST /collections/ours/points/count"] = (200, {"count": 3})
    async with serving(server) as store:
        with pytest.raises(Conflict, match="not made by Ragline"):
            await store.upsert("theirs", "m", [PASSAGE])
        assert [(info.name, info.model, info.passages) for info in await store.collections()] == [
            ("ours", "m", 3)
        ]


async def test_a_collection_that_vanished_since_it_was_described_is_not_found():
    server = Server()
    server.describe("c", {MODEL: "m"})
    server.replies["POST /collections/c/points/query/batch"] = (200, [{"points": []}])
    async with serving(server) as store:
        assert await search(store, "c", [1.0, 0.0], k=1) == []
        server.replies = {
            "POST /collections/c/points/scroll": (404, None),
            "POST /collections/c/points/query/batch": (404, None),
            "GET /collections/c/exists": (200, {"exists": False}),
        }
        for _ in range(2):
            with pytest.raises(NotFound, match="'c' does not exist"):
                await search(store, "c", [1.0, 0.0], k=1)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (StatusCode.UNAVAILABLE, ServiceUnavailable),
        (StatusCode.NOT_FOUND, NotFound),
        (StatusCode.UNAUTHENTICATED, ServiceError),
        (StatusCode.INTERNAL, ServiceError),
    ],
)
def test_grpc_statuses_mean_the_same_as_http_ones(code, kind):
    error = AioRpcError(code, Metadata(), Metadata(), details="told to")
    assert type(translate(error, what="search", where="db:6333", collection="c")) is kind


@pytest.mark.parametrize("text", ["qdrant:", "qdrant://db?grpc_port=x"])
async def test_a_url_that_names_no_server_is_refused(text):
    with pytest.raises(InvalidRequest, match="VECTOR_URL"):
        await create(StoreAddress.parse(VECTOR_URL, text))


def revision(number: int) -> list[StoredPassage]:
    passages = [
        Passage(id=f"{number}/{i}", document_id="d", text="t", revision=str(number), index=i)
        for i in range(3)
    ]
    tokens = TokenVectors(data=b"12", tokens=1, dim=2)
    return [StoredPassage(passage=each, vector=[1.0, 0.0], token_vectors=tokens) for each in passages]


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
@pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")
async def test_what_was_replaced_stays_for_the_grace_period_and_any_process_deletes_it_later():
    client = AsyncQdrantClient(":memory:")
    first = QdrantStore(client, "memory", grace_seconds=3600)
    await first.upsert("c", "m", revision(1))
    await first.upsert("c", "m", revision(2), staged=True)
    assert await first.publish("c", "d", "2") == 3
    assert {passage.id for passage in await search(first, "c", [1.0, 0.0], k=9)} == {"2/0", "2/1", "2/2"}
    assert set(await first.token_vectors("c", ["1/0", "2/0"])) == {"1/0", "2/0"}
    await first._purger.deletions.close()

    second = QdrantStore(client, "memory", grace_seconds=0)
    assert len(await second.documents("c")) == 1
    await second._purger.deletions.wait_idle()
    assert set(await second.token_vectors("c", ["1/0", "2/0"])) == {"2/0"}
    assert (await client.count("c")).count == 3
    await second.close()


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
@pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning")
@pytest.mark.parametrize("staged", [True, False])
async def test_what_is_stored_again_within_the_grace_period_is_not_deleted(staged):
    store = QdrantStore(AsyncQdrantClient(":memory:"), "memory", grace_seconds=0.05)
    await store.upsert("c", "m", revision(1))
    assert await store.delete("c", "d") == 3
    await store.upsert("c", "m", revision(1), staged=staged)
    if staged:
        assert await search(store, "c", [1.0, 0.0], k=9) == []
        await store.publish("c", "d", "1", passages=3)
    await store._purger.deletions.wait_idle()
    assert len(await search(store, "c", [1.0, 0.0], k=9)) == 3
    await store.close()
