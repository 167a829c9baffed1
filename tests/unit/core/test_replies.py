"""Event streams and hang-ups, at the ASGI boundary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import Request
from starlette.types import Message

from services.core.context import start_request
from services.core.errors import ServiceError
from services.core.replies import ClientGone, EventStream, until_disconnected


class Client:
    """A client that reads everything and hangs up when told."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.sent: list[Message] = []
        self.request = Request({"type": "http", "method": "GET", "path": "/", "headers": []}, self.receive)

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


class Source:
    """An event generator that knows when it was closed."""

    def __init__(self, *, stall: bool = False, fail: Exception | None = None) -> None:
        self.closed = asyncio.Event()
        self.stall = stall
        self.fail = fail

    async def events(self) -> AsyncGenerator[bytes]:
        try:
            yield b"data: 1\n\n"
            if self.stall:
                await asyncio.sleep(60)
            if self.fail:
                raise self.fail
            yield b"data: 2\n\n"
        finally:
            self.closed.set()


async def run(client: Client, source: Source) -> None:
    stream = await EventStream.open(client.request, source.events(), service="gateway")
    await stream({"type": "http"}, client.receive, client.send)


async def test_a_whole_stream() -> None:
    client, source = Client(), Source()
    await run(client, source)
    assert client.body == b"data: 1\n\ndata: 2\n\n"
    assert source.closed.is_set()


async def test_a_hang_up_closes_the_source_while_it_waits() -> None:
    client, source = Client(), Source(stall=True)
    task = asyncio.create_task(run(client, source))
    await asyncio.sleep(0.05)
    client.gone.set()
    await asyncio.wait_for(task, 20)
    assert source.closed.is_set()


async def test_a_hang_up_before_the_first_event_closes_the_source() -> None:
    closed = asyncio.Event()

    async def prefill() -> AsyncGenerator[bytes]:
        try:
            await asyncio.sleep(60)
            yield b""
        finally:
            closed.set()

    client = Client()
    task = asyncio.create_task(EventStream.open(client.request, prefill(), service="gateway"))
    await asyncio.sleep(0.05)
    client.gone.set()
    with pytest.raises(ClientGone):
        await asyncio.wait_for(task, 20)
    assert closed.is_set()


@pytest.mark.parametrize(
    ("failure", "words"),
    [(ServiceError("engine died", service="generation"), b"engine died"), (KeyError(), b"its log")],
)
async def test_a_failure_inside_the_stream_is_an_error_event(failure: Exception, words: bytes) -> None:
    client = Client()
    await run(client, Source(fail=failure))
    assert client.body.startswith(b"data: 1\n\nevent: error\ndata: ")
    assert words in client.body
    assert client.sent[-1] == {"type": "http.response.body", "body": b""}


async def test_a_failure_before_the_first_event_is_raised() -> None:
    async def broken() -> AsyncGenerator[bytes]:
        raise ServiceError("down")
        yield b""

    with pytest.raises(ServiceError, match="down"):
        await EventStream.open(Client().request, broken(), service="gateway")


async def test_a_stream_past_its_deadline_ends_in_an_error_event() -> None:
    client = Client()
    start_request("r", 0.1)
    await run(client, Source(stall=True))
    assert b"deadline_exceeded" in client.body


async def test_work_is_cancelled_with_its_client() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    client = Client()
    task = asyncio.create_task(until_disconnected(client.request, work()))
    await asyncio.sleep(0.05)
    client.gone.set()
    with pytest.raises(ClientGone):
        await asyncio.wait_for(task, 20)
    assert cancelled.is_set()
