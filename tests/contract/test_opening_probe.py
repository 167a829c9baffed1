"""Engines that can render their chat template say whether it opens the thinking of a model that nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import orjson
import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp

from services.core.sse import SseParser
from services.generation.app import create
from services.generation.probe import opens_thinking
from services.generation.settings import Settings
from tests.contract.engine_scenarios import LONG, YES

Serve = Callable[[ASGIApp], str]
TURN = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("rendered", "opens"),
    [
        (f"{TURN}<think>\n", True),
        (f"{TURN}<THINK>", True),
        (f"{TURN}[THINK]", True),
        (TURN, False),
        (f"{TURN}<think>\n\n</think>\n\n", False),
        ("Write <think> tags. <|assistant|>", False),
        ("", False),
    ],
)
def test_a_rendered_prompt_opens_the_thinking_or_does_not(rendered: str, opens: bool) -> None:
    assert opens_thinking(rendered) is opens


class Engine:
    """Speaks as llama-server, vLLM and TGI do; its template ends as `opening` says, its answer waits for `go`."""

    def __init__(self, opening: str | None, parts: list[str]) -> None:
        self.opening, self.parts = opening, parts
        self.go = asyncio.Event()
        self.app = FastAPI()
        for path in ("/health", "/v1/models"):
            self.app.get(path)(self.healthy)
        for path in ("/apply-template", "/tokenize", "/detokenize", "/chat_tokenize"):
            self.app.post(path)(self.render)
        self.app.post("/v1/chat/completions")(self.complete)

    async def healthy(self) -> Response:
        return JSONResponse({"data": []})

    async def render(self, request: Request) -> Response:
        if self.opening is None:
            return JSONResponse({"error": "no such route"}, 404)
        text = f"{TURN}{self.opening}"
        if request.url.path == "/tokenize" and b"inputs" in await request.body():
            return JSONResponse([])
        return JSONResponse(
            {"prompt": text, "tokens": [1, 2], "templated_text": text, "tokenize_response": []}
        )

    async def complete(self) -> Response:
        return StreamingResponse(self.stream(), media_type="text/event-stream")

    async def stream(self) -> AsyncIterator[bytes]:
        for at, part in enumerate(self.parts):
            if at:
                await self.go.wait()
            yield b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {"content": part}}]}) + b"\n\n"
        yield b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


async def ask(serve: Serve, engine: Engine, kind: str) -> tuple[object, str, str]:
    """Ask the service; the engine goes on when its first text has come, or is known to be held back."""
    settings = Settings(engine=kind, endpoint=serve(engine.app), model_id="odd", backend="odd")
    url = await asyncio.to_thread(serve, create(settings))
    content = reasoning = ""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/v1/models") as reply:
            info = next(one for one in (await reply.json())["data"] if one["default"])
        prefills = info["capabilities"].get("prefills")
        if prefills is not False:
            engine.go.set()
        body = {"messages": [{"role": "user", "content": "Do bees fly?"}], "stream": True}
        parser = SseParser()
        async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
            async for data in reply.content.iter_any():
                for event in parser.feed(data):
                    if event.data == b"[DONE]":
                        continue
                    for choice in orjson.loads(event.data)["choices"]:
                        content += choice["delta"].get("content") or ""
                        reasoning += choice["delta"].get("reasoning_content") or ""
                if content:
                    engine.go.set()
    return prefills, content, reasoning


@pytest.mark.parametrize("kind", ["llamaserver", "vllm", "tgi"])
async def test_a_template_that_opens_the_thinking_is_believed(serve: Serve, kind: str) -> None:
    engine = Engine("<think>\n", [LONG, "\n</think>\n\n", YES])
    assert await ask(serve, engine, kind) == (True, YES, LONG)


@pytest.mark.parametrize("kind", ["llamaserver", "vllm", "tgi"])
async def test_a_template_that_does_not_open_it_costs_no_time(serve: Serve, kind: str) -> None:
    """The engine sends the rest only after the first part has arrived."""
    engine = Engine("", ["Yes, bees do ", "fly. [1]"])
    assert await ask(serve, engine, kind) == (False, YES.replace("bees", "bees do", 1), "")


async def test_an_engine_that_cannot_render_it_leaves_it_open(serve: Serve) -> None:
    engine = Engine(None, ["Wings. ", "\n</think>\n\n", YES])
    assert await ask(serve, engine, "llamaserver") == (None, YES, "Wings.")
