"""Uploads whose clients send half and fall silent, at a gateway with few places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import orjson
import pytest
from aiohttp import web

from services.gateway.app import create
from services.gateway.settings import Settings
from tests.contract.conftest import running

HALF_SENT = 300
HEAD = (
    b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    b"content-length: 1000\r\n\r\n--b\r\n"
)


class Dataprep:
    """Reads uploads to their end."""

    async def ingest(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"files": []})

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/dataprep/ingest", self.ingest)
        app.router.add_post("/v1/jobs", self.ingest)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@contextmanager
def gateway(dataprep: str, **options: float) -> Iterator[str]:
    settings = Settings.model_validate({"dataprep_url": dataprep} | options)
    with running(create(settings)) as url:
        yield url


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_half_sent_uploads_hold_up_nobody_elses() -> None:
    dataprep = Dataprep()
    async with dataprep.serve() as peer:
        with gateway(peer, queue_seconds=600.0, body_seconds=600.0) as url:
            connections = []
            for number in range(HALF_SENT):
                _, writer = await connect(url)
                writer.write(HEAD % (b"/v1/documents" if number % 2 else b"/v1/jobs"))
                connections.append(writer)
            async with asyncio.timeout(60), aiohttp.ClientSession(url) as client:
                form = aiohttp.FormData()
                form.add_field("files", b"A pound.", filename="a.txt")
                async with client.post("/v1/documents", data=form) as reply:
                    assert (reply.status, await reply.json()) == (200, {"files": []})
                async with client.get("/health") as reply:
                    assert reply.status == 200
            for writer in connections:
                writer.close()


@pytest.mark.parametrize("path", [b"/v1/documents", b"/v1/documents?stream=true", b"/v1/jobs"])
async def test_an_upload_that_stops_coming_is_its_clients_fault(path: bytes) -> None:
    async with Dataprep().serve() as peer:
        with gateway(peer, body_seconds=0.3) as url:
            reader, writer = await connect(url)
            writer.write(HEAD % path)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = orjson.loads(await reader.readexactly(length))
            writer.close()
            assert (head.split()[1], body["error"]["code"]) == (b"408", "request_timeout")
