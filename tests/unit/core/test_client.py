"""The HTTP client against a real server on loopback that behaves well and badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from services.core.client import HttpClient
from services.core.context import start_request
from services.core.errors import (
    DeadlineExceeded,
    InvalidRequest,
    MalformedRequest,
    NotFound,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)

OURS = {"error": {"type": "t", "code": "not_found", "message": "no such collection", "service": "retrieval"}}


class Peer:
    """What the server saw."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.reached = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.flaky_calls = 0
        self.readiness: dict[str, object] = {}
        self.asked_health = False

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{name}", self.handle)
        app.router.add_get("/health/ready", self.ready)
        app.router.add_get("/health", self.health)
        return app

    async def ready(self, request: web.Request) -> web.Response:
        return web.json_response(self.readiness, status=404 if not self.readiness else 503)

    async def health(self, request: web.Request) -> web.Response:
        self.asked_health = True
        return web.Response()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers = {key.lower(): value for key, value in request.headers.items()}
        name = request.match_info["name"]
        if name == "echo":
            return web.Response(body=await request.read())
        if name == "ours":
            return web.json_response(OURS, status=404)
        if name == "openai":
            return web.json_response({"error": {"message": "too long"}}, status=400)
        if name == "tei":
            return web.json_response(
                {"error": "batch size > maximum", "error_type": "Validation"}, status=422
            )
        if name == "busy":
            return web.Response(text="later", status=429, headers={"retry-after": "3"})
        if name == "html":
            return web.Response(text="<html>Bad Gateway</html>", status=502)
        if name == "slow":
            self.reached.set()
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if name == "die":
            assert request.transport is not None
            request.transport.abort()
        if name == "flaky":
            self.flaky_calls += 1
            if self.flaky_calls == 1:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(body=b"second")
        return await self.stream(request, name)

    async def stream(self, request: web.Request, name: str) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await reply.prepare(request)
        await reply.write(b"data: 1\n\n")
        if name == "events":
            await reply.write(b"data: 2\n\ndata: [DONE]\n\n")
        if name == "cut":
            await reply.write(b"data: 2")
        if name == "error-event":
            await reply.write(b'event: error\ndata: {"error": {"type": "t", "code": "service_unavailable", ')
            await reply.write(b'"message": "engine died", "service": "generation"}}\n\n')
        if name == "abort":
            assert request.transport is not None
            request.transport.abort()
        if name == "stall":
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        await reply.write_eof()
        return reply


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
async def client(peer: Peer) -> AsyncIterator[HttpClient]:
    runner = web.AppRunner(peer.app(), handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with HttpClient("peer", f"http://127.0.0.1:{port}") as made:
        yield made
    await runner.cleanup()


async def test_post_sends_json_request_id_and_deadline(client: HttpClient, peer: Peer) -> None:
    start_request("r-9", 5)
    assert await client.post("/echo", {"a": 1}) == b'{"a":1}'
    assert peer.headers["x-request-id"] == "r-9"
    assert 0 < int(peer.headers["x-ragline-deadline-ms"]) <= 5000


@pytest.mark.parametrize(
    ("path", "kind", "service", "words"),
    [
        ("/ours", NotFound, "retrieval", "no such collection"),
        ("/openai", MalformedRequest, "peer", "peer answered 400: too long"),
        ("/tei", InvalidRequest, "peer", "batch size > maximum"),
        ("/html", ServiceError, "peer", "Bad Gateway"),
        ("/die", ServiceUnavailable, "peer", "may have died"),
    ],
)
async def test_errors_become_the_tree(
    client: HttpClient, path: str, kind: type[Exception], service: str, words: str
) -> None:
    with pytest.raises(kind, match=words) as raised:
        await client.post(path, {})
    assert raised.value.service == service


async def test_retry_after_is_kept(client: HttpClient) -> None:
    with pytest.raises(RateLimited) as raised:
        await client.post("/busy", {})
    assert raised.value.retry_after == 3


async def test_only_an_idempotent_call_is_retried(client: HttpClient, peer: Peer) -> None:
    assert await client.post("/flaky", {}, idempotent=True) == b"second"
    peer.flaky_calls = 0
    with pytest.raises(ServiceUnavailable):
        await client.post("/flaky", {})


async def test_a_stream_on_a_dead_pooled_connection_is_asked_again(unused_tcp_port: int) -> None:
    """llama.cpp's server closes a connection after each stream, and says that it keeps it."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\n"

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(head + b"data: 1\n\n")
        await reader.readuntil(b"{}")
        writer.transport.abort()

    server = await asyncio.start_server(once, "127.0.0.1", unused_tcp_port)
    async with server, HttpClient("peer", f"http://127.0.0.1:{unused_tcp_port}") as client:
        for _ in range(2):
            assert [event.data async for event in client.stream("/", {}, idempotent=True)] == [b"1"]
        with pytest.raises(ServiceUnavailable):
            [event async for event in client.stream("/", {})]


async def test_a_proxys_page_is_read_as_text(client: HttpClient) -> None:
    with pytest.raises(ServiceError, match=r"peer answered 502: Bad Gateway$"):
        await client.post("/html", {})


async def test_a_server_that_is_not_there_is_named() -> None:
    async with HttpClient("reranking", "http://127.0.0.1:9") as client:
        with pytest.raises(ServiceUnavailable, match="reranking is down") as raised:
            await client.post("/rerank", {})
    assert raised.value.service == "reranking"


async def test_the_deadline_bounds_a_call_and_tells_the_peer(client: HttpClient, peer: Peer) -> None:
    start_request("r", 0.5)
    with pytest.raises(DeadlineExceeded, match="peer"):
        await client.post("/slow", {})
    await asyncio.wait_for(peer.cancelled.wait(), 20)


async def test_cancelling_a_call_tells_the_peer(client: HttpClient, peer: Peer) -> None:
    task = asyncio.create_task(client.post("/slow", {}))
    await peer.reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(peer.cancelled.wait(), 20)


async def test_a_stream_gives_its_events(client: HttpClient) -> None:
    assert [event.data async for event in client.stream("/events", {})] == [b"1", b"2", b"[DONE]"]


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/cut", ServiceError, "middle of an event"),
        ("/abort", ServiceError, "may have died"),
        ("/error-event", ServiceUnavailable, "engine died"),
        ("/ours", NotFound, "no such collection"),
    ],
)
async def test_a_stream_that_fails_raises(
    client: HttpClient, path: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        [event async for event in client.stream(path, {})]


async def test_a_stalled_stream_ends_at_the_deadline(client: HttpClient) -> None:
    start_request("r", 0.3)
    with pytest.raises(DeadlineExceeded):
        [event async for event in client.stream("/stall", {})]


async def test_closing_a_stream_tells_the_peer(client: HttpClient, peer: Peer) -> None:
    events = client.stream("/stall", {})
    assert (await anext(events)).data == b"1"
    await events.aclose()
    await asyncio.wait_for(peer.cancelled.wait(), 20)


async def test_a_peer_that_is_not_ready_says_what_it_waits_for(client: HttpClient, peer: Peer) -> None:
    waits = {"ready": False, "latency_ms": 0.1, "detail": "loading the model"}
    peer.readiness = {"service": "peer", "ready": False, "dependencies": {"model": waits}}
    with pytest.raises(ServiceUnavailable, match="peer waits for loading the model"):
        await client.ready()


async def test_a_foreign_server_is_asked_for_its_health(client: HttpClient, peer: Peer) -> None:
    await client.ready()
    assert peer.asked_health
