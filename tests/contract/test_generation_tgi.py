"""What the `tgi` engine asks Text Generation Inference, on both routes.

The stand-in answers as TGI's router documents (`router/src/lib.rs`: `/chat_tokenize`, `/tokenize`,
`/generate_stream`, `/v1/chat/completions`), with the limits of its validation: a temperature of 0 and a
top_p of 1 are refused, and the text runs up to and including the stop string.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Literal

import orjson
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp

from services.core.errors import ServiceError
from services.generation.backend import Delta, Prompt, TokenCounts
from services.generation.backends.tgi import Settings, TgiEngine
from services.generation.entries import ModelEntry

BOS = "<|begin_of_text|>"
TOKENS = ["<think>", "Hmm.", "</think>", "Yes", " END"]


class Server:
    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.app = FastAPI()
        self.app.post("/chat_tokenize")(self.chat_tokenize)
        self.app.post("/tokenize")(self.tokenize)
        self.app.post("/generate_stream")(self.generate)
        self.app.post("/v1/chat/completions")(self.chat)

    async def chat_tokenize(self, request: Request) -> dict[str, object]:
        body = await request.json()
        self.asked.append(("/chat_tokenize", body))
        text = f"{BOS}<|user|>{body['messages'][-1]['content']}<|assistant|>"
        first = {"id": 128000, "text": BOS, "start": 0, "stop": len(BOS)}
        return {
            "tokenize_response": [first, {"id": 3, "text": "rest", "start": 17, "stop": 21}],
            "templated_text": text,
        }

    async def tokenize(self, request: Request) -> list[dict[str, object]]:
        self.asked.append(("/tokenize", await request.json()))
        return [
            {"id": 128000, "text": "", "start": 0, "stop": 0},
            {"id": 64, "text": "a", "start": 0, "stop": 1},
        ]

    async def generate(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(("/generate_stream", body))
        parameters = body["parameters"]
        if parameters.get("temperature", 1) <= 0 or parameters.get("top_p", 0.5) >= 1:
            return JSONResponse({"error": "Input validation error", "error_type": "validation"}, 422)
        details = {"finish_reason": "eos_token", "generated_tokens": 6, "input_length": 9, "seed": None}
        if parameters["stop"]:
            details["finish_reason"] = "stop_sequence"

        async def events() -> AsyncIterator[bytes]:
            yield b":\n\n"
            for text in TOKENS:
                yield b"data:" + orjson.dumps({"token": {"text": text, "special": False}}) + b"\n\n"
            last = {"token": {"text": "<|eot_id|>", "special": True}, "details": details}
            yield b"data:" + orjson.dumps(last) + b"\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(("/v1/chat/completions", body))
        if body.get("top_p", 0.5) >= 1:
            return JSONResponse({"error": "`top_p` must be > 0.0 and < 1.0", "error_type": "validation"}, 422)

        async def events() -> AsyncIterator[bytes]:
            for text in TOKENS:
                yield b"data: " + orjson.dumps({"choices": [{"delta": {"content": text}}]}) + b"\n\n"
            end = {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]}
            usage = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}}
            yield b"data: %b\n\ndata: %b\n\ndata: [DONE]\n\n" % (orjson.dumps(end), orjson.dumps(usage))

        return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], server: Server) -> str:
    return serve(server.app)


def ask(**changes: object) -> Prompt:
    values: dict[str, object] = {"max_tokens": 20, "temperature": 0.6, "top_p": 0.95, **changes}
    return Prompt(messages=(("user", "Do bees fly?"),), **values)  # type: ignore[arg-type]


async def deltas(url: str, prompt: Prompt, route: Literal["openai", "native"]) -> list[Delta]:
    entry = ModelEntry(name="r1", engine="tgi", endpoint=url, model_id="r1")
    engine = TgiEngine(entry, Settings(route=route))
    try:
        return [delta async for delta in engine.generate(prompt)]
    finally:
        await engine.close()


def text(found: list[Delta]) -> str:
    return "".join(delta.content for delta in found)


@pytest.mark.parametrize("route", ["openai", "native"])
async def test_raw_thinking_counts_and_reason(url: str, route: Literal["openai", "native"]) -> None:
    found = await deltas(url, ask(), route)
    assert text(found) == "<think>Hmm.</think>Yes END"
    assert (found[-1].finish_reason, found[-1].tokens) == ("stop", TokenCounts(9, 6))
    assert all(delta.finish_reason is None for delta in found[:-1])


@pytest.mark.parametrize("route", ["openai", "native"])
async def test_the_stop_string_is_not_part_of_the_answer(
    url: str, route: Literal["openai", "native"]
) -> None:
    found = await deltas(url, ask(stop=("END",)), route)
    assert text(found) == "<think>Hmm.</think>Yes "
    assert found[-1].tokens == TokenCounts(9, 6)


@pytest.mark.parametrize("route", ["openai", "native"])
@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (0.0, 0.9), (0.7, 1.0)])
async def test_values_that_tgi_refuses_are_left_out(
    url: str, server: Server, route: Literal["openai", "native"], temperature: float, top_p: float
) -> None:
    server.asked.clear()
    assert text(await deltas(url, ask(temperature=temperature, top_p=top_p), route))
    _, request = server.asked[-1]
    if route == "openai":
        assert request["temperature"] == temperature
        assert "top_p" not in request
    else:
        assert request["parameters"]["do_sample"] is (temperature > 0)  # type: ignore[index]
        assert "top_p" not in request["parameters"]  # type: ignore[operator]


async def test_the_native_prompt_is_the_chat_templates_with_one_bos(url: str, server: Server) -> None:
    server.asked.clear()
    await deltas(url, ask(seed=-3), "native")
    assert [path for path, _ in server.asked] == ["/chat_tokenize", "/tokenize", "/generate_stream"]
    assert server.asked[-1][1] == {
        "inputs": "<|user|>Do bees fly?<|assistant|>",
        "parameters": {
            "max_new_tokens": 20,
            "do_sample": True,
            "details": True,
            "return_full_text": False,
            "stop": [],
            "temperature": 0.6,
            "top_p": 0.95,
            "seed": 2**63 - 3,
        },
    }


@pytest.mark.parametrize("route", ["openai", "native"])
async def test_a_prefix_always_goes_the_native_way(
    url: str, server: Server, route: Literal["openai", "native"]
) -> None:
    server.asked.clear()
    await deltas(url, ask(prefix="<think>No.</think>"), route)
    path, request = server.asked[-1]
    assert path == "/generate_stream"
    assert request["inputs"] == "<|user|>Do bees fly?<|assistant|><think>No.</think>"


async def test_a_server_without_chat_tokenize_says_so(serve: Callable[[ASGIApp], str]) -> None:
    with pytest.raises(ServiceError, match="/chat_tokenize"):
        await deltas(serve(FastAPI()), ask(), "native")
