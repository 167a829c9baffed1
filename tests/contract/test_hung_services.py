"""The gateway over services that hang: every stage has its limit, and the error says which stage it was."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest
from aiohttp import web

from services.core.sse import DONE, SseParser, format_event
from services.gateway.app import create
from services.gateway.settings import Settings

LIMIT = 0.4
HANG = 60.0
QUESTION = {"messages": [{"role": "user", "content": "how heavy is a pound of feathers?"}]}
PASSAGE = {"id": "1", "document_id": "d", "text": "A pound of feathers weighs a pound.", "score": 0.9}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


class Services:
    """All services at one address. `hangs` is the stage that never comes to its end, `slow` a model entry
    that hangs before its first token."""

    def __init__(self, hangs: str = "", slow: str = "") -> None:
        self.hangs = hangs
        self.slow = slow

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/embed", self.embed)
        app.router.add_post("/v1/retrieval", self.retrieve)
        app.router.add_post("/v1/passages/neighbours", self.find_neighbours)
        app.router.add_post("/v1/reranking", self.rerank)
        app.router.add_post("/v1/chat/completions", self.chat)
        return app

    async def pass_stage(self, stage: str) -> None:
        if stage == self.hangs:
            await asyncio.sleep(HANG)

    async def embed(self, _: web.Request) -> web.Response:
        await self.pass_stage("embedding")
        return web.json_response([[1.0, 0.0]])

    async def retrieve(self, _: web.Request) -> web.Response:
        await self.pass_stage("retrieval")
        return web.json_response({"retrieved_docs": [PASSAGE]})

    async def find_neighbours(self, _: web.Request) -> web.Response:
        await self.pass_stage("neighbours")
        return web.json_response({"neighbours": {}})

    async def rerank(self, _: web.Request) -> web.Response:
        await self.pass_stage("reranking")
        return web.json_response({"results": [{"index": 0, "score": 1.0}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        model = orjson.loads(await request.read()).get("model", "")
        await self.pass_stage("head")
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await reply.prepare(request)
        await self.say(reply, {"role": "assistant", "content": ""})
        if model and model == self.slow:
            await asyncio.sleep(HANG)
        await self.pass_stage("first token")
        await self.say(reply, {"reasoning_content": "hmm"})
        if self.hangs == "keepalives":
            for _ in range(1000):
                await reply.write(b": still here\n\ndata: \n\n")
                await asyncio.sleep(LIMIT / 10)
        await self.pass_stage("between tokens")
        await self.say(reply, {"content": "A pound."})
        await self.say(reply, {}, "stop")
        await reply.write(format_event(orjson.dumps({"choices": [], "usage": USAGE})))
        await self.pass_stage("end")
        await reply.write(DONE)
        return reply

    async def say(self, reply: web.StreamResponse, delta: object, finish_reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        await reply.write(format_event(orjson.dumps({"model": "m", "choices": [choice]})))


@asynccontextmanager
async def gateway(services: Services, **limits: float) -> AsyncIterator[httpx.AsyncClient]:
    runner = web.AppRunner(services.app(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    names = ("embedding", "retrieval", "reranking", "generation", "dataprep")
    settings = Settings.model_validate({f"{name}_url": url for name in names} | limits)
    app = create(settings)
    transport = httpx.ASGITransport(app)
    try:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as client,
        ):
            yield client
    finally:
        await runner.cleanup()


SHORT = {
    "embedding_seconds": LIMIT,
    "retrieval_seconds": LIMIT,
    "rerank_seconds": LIMIT,
    "first_token_seconds": LIMIT,
    "between_tokens_seconds": LIMIT,
}


@pytest.mark.parametrize(
    ("hangs", "service", "words"),
    [
        ("embedding", "embedding", r"stage embedding had no answer within 0.4 s \(EMBEDDING_SECONDS\)"),
        ("retrieval", "retrieval", r"stage retrieval had no answer within 0.4 s \(RETRIEVAL_SECONDS\)"),
        ("head", "generation", r"first token had no answer within 0.4 s \(FIRST_TOKEN_SECONDS\)"),
        ("first token", "generation", r"first token had no answer within 0.4 s \(FIRST_TOKEN_SECONDS\)"),
        (
            "between tokens",
            "generation",
            r"between tokens had no answer within 0.4 s \(BETWEEN_TOKENS_SECONDS\)",
        ),
        ("keepalives", "generation", r"between tokens had no answer within 0.4 s"),
    ],
)
async def test_a_stage_that_hangs_is_a_504_that_names_it(hangs: str, service: str, words: str) -> None:
    async with gateway(Services(hangs), **SHORT) as client:
        start = time.monotonic()
        reply = await client.post("/v1/chat/completions", json=QUESTION)
        assert time.monotonic() - start < 10
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["service"]) == (504, "deadline_exceeded", service)
    assert re.search(words, error["message"])


@pytest.mark.parametrize("hangs", ["reranking", "neighbours"])
async def test_a_stage_that_can_be_left_out_is_left_out(hangs: str) -> None:
    async with gateway(Services(hangs), **SHORT, neighbours=1) as client:
        reply = await client.post("/v1/chat/completions", json=QUESTION)
    assert reply.status_code == 200
    assert reply.json()["degraded"] == [hangs]


async def test_an_answer_whose_stream_hangs_at_its_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.core.clients.generation.LAST_SECONDS", 0.2)
    async with gateway(Services("end")) as client:
        reply = await client.post("/v1/chat/completions", json=QUESTION)
    assert reply.status_code == 200
    assert reply.json()["choices"][0]["message"]["content"] == "A pound."


async def test_inside_a_stream_the_error_names_the_stage() -> None:
    async with gateway(Services("between tokens"), **SHORT) as client:
        reply = await client.post("/v1/chat/completions", json=QUESTION | {"stream": True})
    *_, last = SseParser().feed(reply.content)
    assert last.event == "error"
    assert "between tokens" in orjson.loads(last.data)["error"]["message"]
    assert not reply.content.endswith(DONE)


@pytest.mark.parametrize("hangs", ["embedding", "retrieval", "head", "first token", "between tokens"])
async def test_at_the_deadline_of_the_request_the_stage_is_named_too(hangs: str) -> None:
    async with gateway(Services(hangs)) as client:
        headers = {"x-ragline-deadline-ms": "500"}
        reply = await client.post("/v1/chat/completions", json=QUESTION, headers=headers)
    error = reply.json()["error"]
    assert reply.status_code == 504
    assert "the stage" in error["message"]
    assert (hangs if hangs != "head" else "first token") in error["message"]


@pytest.mark.parametrize("serial", [True, False])
async def test_an_arm_that_stalls_fails_alone(serial: bool) -> None:
    """Also where nothing is set and the arms come one after another: each has its share of the deadline."""
    body = {"question": "how heavy?", "arms": ["slow", "a", "b"], "serial": serial, "grounding": "off"}
    async with gateway(Services(slow="slow"), deadline_seconds=3) as client:
        reply = await client.post("/v1/compare", json=body)
    assert reply.status_code == 200
    slow, *others = reply.json()["arms"]
    assert (slow["status"], [arm["status"] for arm in others]) == ("failed", ["answered", "answered"])
    assert slow["error"]["code"] == "deadline_exceeded"
    assert "first token" in slow["error"]["message"]


async def test_a_service_that_hangs_is_told_when_nobody_waits_any_more() -> None:
    services = Services("embedding")
    told = asyncio.Event()
    pass_stage = services.pass_stage

    async def note(stage: str) -> None:
        try:
            await pass_stage(stage)
        except asyncio.CancelledError:
            told.set()
            raise

    services.pass_stage = note  # type: ignore[method-assign]
    async with gateway(services, **SHORT) as client:
        await client.post("/v1/chat/completions", json=QUESTION)
        await asyncio.wait_for(told.wait(), 30)
