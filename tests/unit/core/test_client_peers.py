"""The HTTP client against peers that misbehave on the wire: raw bytes on a socket, one reply a connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest
from pydantic import TypeAdapter

from services.core.client import HttpClient
from services.core.context import start_request
from services.core.errors import (
    Busy,
    DeadlineExceeded,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.core.wire.encoding import decode

EVENTS = "content-type: text/event-stream"
JSON = "content-type: application/json"
CHUNK = b'{"choices": [{"delta": {"content": "hi"}}]}'


def head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "connection: close", "", ""]).encode()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on loopback, by its address; what it still writes at the end is cut off."""
    tasks: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await handler(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def peer(*parts: bytes, **options: int) -> AsyncIterator[HttpClient]:
    """A client of a server that answers whatever comes with these bytes, and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()

    async with serving(answer) as url, HttpClient("engine", url, **options) as client:
        yield client


async def read(client: HttpClient) -> list[bytes]:
    return [event.data async for event in client.stream("/v1/chat/completions", {})]


async def test_an_event_in_many_pieces_costs_as_much_as_its_length() -> None:
    """A parser that copies its buffer for each piece needs minutes; the pieces of single bytes are next door."""
    text = b"x" * 1_000_000
    async with peer(
        head(EVENTS), b"data: ", *[text[n : n + 100] for n in range(0, len(text), 100)], b"\n\n"
    ) as client:
        start = time.process_time()
        assert await read(client) == [text]
    assert time.process_time() - start < 5


@pytest.mark.parametrize("prefix", [b"data: ", b"", b": "])
async def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(prefix: bytes) -> None:
    piece = b"x" * 1_000_000
    async with peer(head(EVENTS), prefix, *[piece] * 50, max_event_bytes=4_000_000) as client:
        with pytest.raises(ServiceError, match="engine sent an event of more than 4 MB") as raised:
            await read(client)
    assert not isinstance(raised.value, ServiceUnavailable)


async def test_an_event_of_many_lines_is_bounded_as_well() -> None:
    lines = b"data: x\n" * 100_000
    async with peer(head(EVENTS), *[lines] * 50, max_event_bytes=4_000_000) as client:
        with pytest.raises(ServiceError, match="more than 4 MB"):
            await read(client)


@pytest.mark.parametrize(
    "noise",
    [
        b"\xef\xbb\xbf",
        b"data:\n\n",
        b"data: \n\n",
        b"data\n\n",
        b": keep-alive\n\n",
        b"data: : OPENROUTER PROCESSING\n\n",
        b"data: keep-alive\n\n",
        b"data: [PING]\n\n",
        b'data: "ping"\n\n',
        b"event: ping\ndata: {}\n\n",
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b"event: keepalive\ndata:\n\n",
        b"retry: 100\n\n",
        b"\n\n\n",
    ],
)
async def test_what_is_no_event_is_passed_over(noise: bytes) -> None:
    async with peer(
        head(EVENTS), noise, b"data: " + CHUNK + b"\n\n", noise.lstrip(b"\xef\xbb\xbf"), b"data: [DONE]\n\n"
    ) as client:
        assert await read(client) == [CHUNK, b"[DONE]"]


@pytest.mark.parametrize("end", [b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\r\n", b"data: [DONE]\r"])
async def test_the_last_event_needs_no_blank_line(end: bytes) -> None:
    async with peer(head(EVENTS), b"data: " + CHUNK + b"\n\n", end) as client:
        assert await read(client) == [CHUNK, b"[DONE]"]


async def test_a_whole_object_at_the_end_is_an_event_and_half_of_one_is_not() -> None:
    async with peer(head(EVENTS), b"data: " + CHUNK) as client:
        assert await read(client) == [CHUNK]
    async with peer(head(EVENTS), b"data: " + CHUNK[:-1]) as client:
        with pytest.raises(ServiceError, match="middle of an event"):
            await read(client)


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (
            JSON,
            b'{"error": {"message": "CUDA out of memory", "type": "x", "code": 500}}',
            "CUDA out of memory",
        ),
        (JSON, b'{"error": "the model is loading"}', "the model is loading"),
        (JSON, b'{"object": "error", "message": "no such template", "code": 40303}', "no such template"),
        (JSON, b'{"detail": "Not allowed"}', "Not allowed"),
        (JSON, b"[]", r"\[\]"),
        ("content-type: text/html", b"<html><body><h1>Sign in</h1></body></html>", "Sign in"),
        ("content-type: text/plain", b"upstream timed out", "upstream timed out"),
        ("x-none: 1", b"upstream timed out", "upstream timed out"),
        (EVENTS, b'{"error": {"message": "CUDA out of memory"}}', "CUDA out of memory"),
        (EVENTS, b"\n  <!doctype html><title>Sign in</title>", "Sign in"),
        (EVENTS, b'{"error": {\n\n"message": "CUDA out of memory"}}\n\n', "CUDA out of memory"),
    ],
)
async def test_a_reply_that_is_no_event_stream_says_what_the_server_says(
    kind: str, body: bytes, words: str
) -> None:
    for parts in ([body], [body[:1], body[1:]]):
        async with peer(head(kind), *parts) as client:
            with pytest.raises(ServiceError, match=words) as raised:
                await read(client)
        assert "engine" in raised.value.message
        assert raised.value.upstream_status == 200
        assert not isinstance(raised.value, ServiceUnavailable)


async def test_our_own_error_with_a_status_of_200_keeps_its_name() -> None:
    error = {"type": "t", "code": "rate_limited", "message": "full", "service": "generation"}
    async with peer(head(JSON), orjson.dumps({"error": error})) as client:
        with pytest.raises(RateLimited, match="full"):
            await read(client)


async def test_a_whole_completion_in_place_of_a_stream_is_handed_on() -> None:
    body = (
        b'{"object": "chat.completion", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'
    )
    async with peer(head(JSON), body) as client:
        assert await read(client) == [body]


@pytest.mark.parametrize(
    "kind", ["content-type: text/plain", "x-none: 1", "content-type: application/octet-stream"]
)
async def test_a_stream_by_another_name_is_read(kind: str) -> None:
    async with peer(head(kind), b": hello\n\ndata: " + CHUNK + b"\n\n") as client:
        assert await read(client) == [CHUNK]


async def test_a_page_where_json_should_be_says_what_it_says() -> None:
    page = b"<html><title>Sign in</title></html>"
    async with peer(head("content-type: text/html"), page) as client:
        body = await client.get("/info")
    with pytest.raises(ServiceError, match="Sign in"):
        decode(TypeAdapter(dict[str, int]), body, "engine")


async def test_replies_are_bounded() -> None:
    async with peer(head(JSON), *[b" " * 1_000_000] * 20, max_reply_bytes=4_000_000) as client:
        with pytest.raises(ServiceError, match="engine sent a reply of more than 4 MB"):
            await client.get("/info")


async def test_a_refusal_without_end_is_read_as_far_as_its_message_goes() -> None:
    start = time.monotonic()
    async with peer(head(JSON, status="400 Bad Request"), b"too long: ", *[b"x" * 1_000_000] * 200) as client:
        with pytest.raises(RaglineError, match="too long: xxx"):
            await client.post("/embed", {})
        with pytest.raises(RaglineError, match="too long: xxx"):
            await read(client)
    assert time.monotonic() - start < 5


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("3", 3, 3),
        ("1.5", 1.5, 1.5),
        (" 2 ", 2, 2),
        (timedelta(seconds=3600), 3000, 3601),
        (timedelta(seconds=-60), 0, 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0, 0),
    ],
)
async def test_retry_after_in_all_its_forms(text: str | timedelta, low: float, high: float) -> None:
    if isinstance(text, timedelta):  # a date, that far from now
        text = format_datetime(datetime.now(UTC) + text, usegmt=True)
    async with peer(head(f"retry-after: {text}", status="429 Too Many Requests"), b"later") as client:
        with pytest.raises(RateLimited) as raised:
            await client.post("/embed", {})
    assert raised.value.retry_after is not None
    assert low <= raised.value.retry_after <= high


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "1e999", "12 minutes"])
async def test_a_retry_after_that_says_nothing(text: str) -> None:
    async with peer(head(f"retry-after: {text}", status="429 Too Many Requests"), b"later") as client:
        with pytest.raises(RateLimited) as raised:
            await client.post("/embed", {})
    assert raised.value.retry_after is None


async def test_a_date_is_read_by_the_peers_own_clock() -> None:
    """Whose clock is an hour ahead of ours."""
    date, until = NOW + timedelta(hours=1), NOW + timedelta(hours=1, seconds=30)
    headers = [
        f"date: {format_datetime(date, usegmt=True)}",
        f"retry-after: {format_datetime(until, usegmt=True)}",
    ]
    async with peer(head(*headers, status="503 Service Unavailable"), b"later") as client:
        with pytest.raises(ServiceUnavailable) as raised:
            await client.post("/embed", {})
    assert raised.value.retry_after == 30


class Redirecting:
    """Redirects what comes to `/old`, and says at `/new` which request came."""

    def __init__(self, status: str, to: str = "/new") -> None:
        self.status = status
        self.to = to
        self.seen: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        line = request.splitlines()[0].removesuffix(" HTTP/1.1")
        self.seen.append(line)
        if "content-length: " in request.lower():
            length = int(request.lower().split("content-length: ")[1].split("\r\n")[0])
            self.seen[-1] += f" {(await reader.readexactly(length)).decode()}"
        if "/old" in line:
            writer.write(head(f"location: {self.to}", "content-length: 0", status=self.status))
        else:
            writer.write(head(EVENTS) + b"data: {}\n\n")


@asynccontextmanager
async def redirecting(server: Redirecting) -> AsyncIterator[HttpClient]:
    async with (
        serving(server.answer) as url,
        HttpClient("engine", url, headers={"authorization": "k"}) as client,
    ):
        yield client


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_that_keeps_the_method_is_followed_on_the_same_server(status: str) -> None:
    server = Redirecting(status)
    async with redirecting(server) as client:
        assert await client.post("/old", {"a": 1}) == b"data: {}\n\n"
        assert [event.data async for event in client.stream("/old", {"a": 1})] == [b"{}"]
    assert server.seen == ['POST /old {"a":1}', 'POST /new {"a":1}'] * 2


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other"])
async def test_a_redirect_that_loses_the_body_is_refused_and_names_both_addresses(status: str) -> None:
    server = Redirecting(status)
    async with redirecting(server) as client:
        for call in (client.post("/old", {"a": 1}), read_path(client, "/old")):
            with pytest.raises(
                ServiceError, match=r"http://127\.0\.0\.1:\d+/old .*http://127\.0\.0\.1:\d+/new"
            ) as raised:
                await call
            assert not isinstance(raised.value, ServiceUnavailable)
        assert await client.get("/old") == b"data: {}\n\n"
    assert server.seen == ['POST /old {"a":1}', 'POST /old {"a":1}', "GET /old", "GET /new"]


async def read_path(client: HttpClient, path: str) -> list[bytes]:
    return [event.data async for event in client.stream(path, {"a": 1})]


@pytest.mark.parametrize("to", ["http://127.0.0.2:1/new", "https://example.org/v1", "//example.org/v1"])
async def test_a_redirect_to_another_server_is_refused(to: str) -> None:
    """It would take our key there."""
    async with redirecting(Redirecting("307 Temporary Redirect", to)) as client:
        for call in (client.post("/old", {}), client.get("/old")):
            with pytest.raises(ServiceError, match=to.lstrip("/")):
                await call


async def test_a_redirect_without_end_is_refused() -> None:
    async with redirecting(Redirecting("307 Temporary Redirect", "/old")) as client:
        with pytest.raises(ServiceError, match="redirects"):
            await client.get("/old")


async def test_a_redirect_to_nowhere_is_refused() -> None:
    async with peer(head(status="302 Found")) as client:
        with pytest.raises(ServiceError, match="redirects"):
            await client.get("/old")


async def test_a_peer_that_accepts_late_is_busy_and_not_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue of connections is full, or the machine is: somebody listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listening.getsockname())
        monkeypatch.setattr("services.core.connections.CONNECT_SECONDS", 0.2)
        start_request("r", 5)
        async with HttpClient("retrieval", f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
            with pytest.raises(Busy, match="retrieval is busy") as raised:
                await client.post("/v1/retrieval", {})
        for filler in fillers:
            filler.close()
    assert raised.value.retry_after


async def test_a_pool_without_a_free_connection_is_busy_and_not_down() -> None:
    """All of them wait for a peer: the queue is ours."""
    async with serving(hang) as url, HttpClient("engine", url, connections=1) as client:
        first = asyncio.create_task(client.post("/a", {}))
        await asyncio.sleep(0.05)
        start_request("r", 0.3)
        with pytest.raises(Busy, match="connections"):
            await client.post("/b", {})
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"never")


async def test_a_name_that_nobody_has_is_down() -> None:
    async with HttpClient("retrieval", "http://nobody.invalid:1") as client:
        with pytest.raises(ServiceUnavailable, match="retrieval is down") as raised:
            await client.get("/")
    assert not isinstance(raised.value, Busy)


async def test_a_reply_that_never_comes_is_neither() -> None:
    start_request("r", 0.3)
    async with serving(hang) as url, HttpClient("retrieval", url) as client:
        with pytest.raises(DeadlineExceeded, match="retrieval did not answer"):
            await client.get("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@127.0.0.1:9",
        "http://me:secret@" + "a" * 300 + ".example.org",
        "http://me:secret@" + "a." * 200 + "example.org",
    ],
)
async def test_an_address_with_a_password_or_a_host_that_cannot_be_names_itself_without_it(url: str) -> None:
    async with HttpClient("engine", url) as client:
        with pytest.raises(ServiceError) as failed:
            await client.get("/health")
    assert failed.value.service == "engine"
    assert "secret" not in failed.value.message
