"""The gateway under more requests than it takes on: a turn, or an honest 429; never a peer that is "down"."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from aiohttp import web
from fastapi import FastAPI

from services.core.sse import DONE, format_event
from services.gateway.app import create
from services.gateway.settings import Settings

QUESTION = {
    "messages": [{"role": "user", "content": "how heavy?"}],
    "rag": {"context": [{"text": "A pound."}]},
}
FILE = {"files": ("a.txt", b"A pound of feathers weighs a pound.", "text/plain")}
ANSWER = (
    format_event(b'{"model": "m", "choices": [{"delta": {"content": "A pound."}}]}'),
    format_event(
        b'{"choices": [{"delta": {}, "finish_reason": "stop"}],'
        b'"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}'
    ),
    DONE,
)


class Services:
    """Generation and dataprep at one address. Each works until `release` is set; counts who works at once."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.working: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/v1/dataprep/ingest", self.ingest)
        app.router.add_get("/v1/documents", self.list_documents)
        app.router.add_get("/v1/models", self.list_models)
        return app

    async def work(self, kind: str) -> None:
        self.working[kind] += 1
        self.most[kind] = max(self.most[kind], self.working[kind])
        try:
            await self.release.wait()
            await asyncio.sleep(0.01)
        finally:
            self.working[kind] -= 1

    async def chat(self, request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await reply.prepare(request)
        await self.work("chat")
        for event in ANSWER:
            await reply.write(event)
        return reply

    async def ingest(self, request: web.Request) -> web.Response:
        await request.read()
        await self.work("upload")
        return web.json_response({"files": []})

    async def list_documents(self, _: web.Request) -> web.Response:
        return web.json_response({"documents": []})

    async def list_models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": []})


@asynccontextmanager
async def gateway(services: Services, **options: float) -> AsyncIterator[httpx.AsyncClient]:
    runner = web.AppRunner(services.app(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    app: FastAPI = create(
        Settings.model_validate({"generation_url": url, "dataprep_url": url, "prompt": "plain"} | options)
    )
    try:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://gateway", timeout=60
            ) as client,
        ):
            yield client
    finally:
        services.release.set()
        await runner.cleanup()


def ask(client: httpx.AsyncClient, count: int, *, stream: bool = False) -> list[asyncio.Task[httpx.Response]]:
    body = QUESTION | {"stream": stream}
    return [asyncio.create_task(client.post("/v1/chat/completions", json=body)) for _ in range(count)]


def put_in(client: httpx.AsyncClient, count: int) -> list[asyncio.Task[httpx.Response]]:
    return [asyncio.create_task(client.post("/v1/documents", files=FILE)) for _ in range(count)]


async def until(reached: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not reached():  # noqa: ASYNC110 - what is waited for happens in the services' counters
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [True, False])
async def test_more_than_may_work_wait_and_more_than_may_wait_are_told_to_come_again(stream: bool) -> None:
    services = Services()
    async with gateway(services, in_flight=3, queue=4) as client:
        first = ask(client, 7, stream=stream)
        await until(lambda: services.working["chat"] == 3)
        await asyncio.sleep(0.1)
        refused = await asyncio.gather(*ask(client, 5, stream=stream))
        for reply in refused:
            assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limited")
            assert int(reply.headers["retry-after"]) >= 1
            assert "GATEWAY_QUEUE" in reply.json()["error"]["message"]
            assert reply.headers["x-request-id"]
        services.release.set()
        answered = await asyncio.gather(*first)
        assert [reply.status_code for reply in answered] == [200] * 7
        assert services.most["chat"] == 3
        assert (await ask(client, 1)[0]).status_code == 200


async def test_who_waits_too_long_gets_a_429() -> None:
    services = Services()
    async with gateway(services, in_flight=1, queue=10, queue_seconds=0.3) as client:
        first = ask(client, 1)
        await until(lambda: services.working["chat"] == 1)
        waited = await asyncio.gather(*ask(client, 3))
        assert [reply.status_code for reply in waited] == [429] * 3
        assert all("GATEWAY_QUEUE_SECONDS" in reply.json()["error"]["message"] for reply in waited)
        services.release.set()
        assert (await first[0]).status_code == 200


async def test_who_goes_away_while_waiting_gives_its_place_back() -> None:
    services = Services()
    async with gateway(services, in_flight=1, queue=1) as client:
        first = ask(client, 1)
        await until(lambda: services.working["chat"] == 1)
        for _ in range(3):
            gone = ask(client, 1)[0]
            await asyncio.sleep(0.05)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        waiting = ask(client, 1)[0]
        services.release.set()
        assert (await first[0]).status_code == 200
        assert (await waiting).status_code == 200


async def test_uploads_hold_no_question_up_and_questions_no_upload() -> None:
    services = Services()
    async with gateway(services, in_flight=2, uploads=2, queue=20) as client:
        uploads = put_in(client, 6)
        await until(lambda: services.working["upload"] == 2)
        questions = ask(client, 6)
        await until(lambda: services.working["chat"] == 2)
        reads = await asyncio.gather(
            *(client.get(path) for path in ("/v1/documents", "/v1/models", "/health") for _ in range(10))
        )
        assert {reply.status_code for reply in reads} == {200}
        metrics = (await client.get("/metrics")).text
        for kind in ("answers", "uploads"):
            assert f'ragline_requests_waiting{{kind="{kind}",service="gateway"}} 4.0' in metrics
        services.release.set()
        replies = await asyncio.gather(*uploads, *questions)
    assert {reply.status_code for reply in replies} == {200}
    assert services.most == {"upload": 2, "chat": 2}


async def test_a_burst_is_answered_or_told_to_come_again() -> None:
    """Nobody is told that a service is down: all of them are there."""
    services = Services()
    services.release.set()
    async with gateway(services, in_flight=8, uploads=4, queue=60, queue_seconds=20) as client:
        replies = await asyncio.gather(*ask(client, 80), *put_in(client, 10))
    statuses = Counter(reply.status_code for reply in replies)
    assert set(statuses) <= {200, 429}
    assert statuses[200] >= 68
    assert services.most["chat"] <= 8
    assert services.most["upload"] <= 4
