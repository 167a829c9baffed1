"""The `openai` engine against a server that behaves well and badly, chosen by the model id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import orjson
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp

from services.core.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.generation.backend import Delta, Prompt, TokenCounts
from services.generation.backends.openai import create
from services.generation.entries import ModelEntry

Chunk = dict[str, object] | bytes

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 4}}
END: list[Chunk] = [{"choices": [{"delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": USAGE}]
DONE = b"data: [DONE]\n\n"


def say(reason: str | None = None, **delta: str | None) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


STREAMS: dict[str, list[Chunk]] = {
    "good": [say(role="assistant", content=""), say(content="Bees "), say(content="fly."), *END, DONE],
    "vllm-reasoning": [say(reasoning="Hmm."), say(content="Yes."), *END, DONE],
    "deepseek-reasoning": [say(reasoning_content="Hmm.", content=None), say(content="Yes."), *END, DONE],
    "both-in-one": [say(reasoning="Hmm.", reasoning_content="Hmm.", content="Yes."), *END, DONE],
    "no-done": [say(content="Bees fly."), *END],
    "tgi": [say(content="Bees fly."), say("eos_token"), {"choices": [], "usage": USAGE}, DONE],
    "no-usage": [say(content="Bees fly."), say("length"), DONE],
    "no-reason": [say(content="Bees"), DONE],
    "cut": [say(content="Bees"), b'data: {"choices": [{"del'],
    "abort": [say(content="Bees"), say("abort"), DONE],
    "garbage": [say(content="Bees"), b"data: <html>\n\n", DONE],
    "error-chunk": [say(content="Bees"), {"error": {"message": "CUDA out of memory", "code": 500}}, DONE],
    "error-object": [{"object": "error", "message": "EngineDeadError", "code": 500}, DONE],
}

REFUSALS: dict[str, tuple[int, object]] = {
    "too-long": (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 4096 tokens. However, ...",
                "code": 400,
            }
        },
    ),
    "bad-request": (400, {"error": {"message": "top_p must be in (0, 1]", "code": 400}}),
    "no-key": (401, {"error": "Unauthorized"}),
    "forbidden": (403, {"error": {"message": "key revoked"}}),
    "no-model": (404, {"error": {"message": "The model `x` does not exist."}}),
    "busy": (429, {"error": {"message": "slow down"}}),
    "broken": (500, {"detail": "Internal Server Error"}),
}


class Server:
    """The stand-in; remembers what it was asked and when a client went away."""

    def __init__(self) -> None:
        self.requests: list[dict[str, object]] = []
        self.keys: list[str] = []
        self.gone_at = 0.0
        self.app = FastAPI()
        self.app.get("/v1/models")(self.models)
        self.app.post("/v1/chat/completions")(self.chat)
        self.app.post("/v3/chat/completions")(self.chat)

    async def models(self) -> dict[str, object]:
        return {"object": "list", "data": []}

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        self.keys.append(request.headers.get("authorization", ""))
        if body["model"] in REFUSALS:
            status, reply = REFUSALS[body["model"]]
            return JSONResponse(reply, status, headers={"retry-after": "7"} if status == 429 else {})
        events = self.endless() if body["model"] == "endless" else self.chunks(body["model"])
        return StreamingResponse(events, media_type="text/event-stream")

    async def chunks(self, model: str) -> AsyncIterator[bytes]:
        for chunk in STREAMS[model]:
            yield chunk if isinstance(chunk, bytes) else b"data: " + orjson.dumps(chunk) + b"\n\n"

    async def endless(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: " + orjson.dumps(say(content="and ")) + b"\n\n"
                await asyncio.sleep(0.02)
        finally:
            self.gone_at = time.monotonic()


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], server: Server) -> str:
    return serve(server.app)


ASK = Prompt(messages=(("user", "Do bees fly?"),), max_tokens=20, temperature=0.5, top_p=0.9)


async def collect(url: str, model: str, prompt: Prompt = ASK, **changes: str) -> list[Delta]:
    fields = {"endpoint": url, "model_id": model, "engine": "vllm", **changes}
    engine = await create(ModelEntry.model_validate({"name": "remote", **fields}))
    try:
        return [delta async for delta in engine.generate(prompt)]
    finally:
        await engine.close()


def joined(deltas: list[Delta]) -> tuple[str, str]:
    return "".join(delta.reasoning for delta in deltas), "".join(delta.content for delta in deltas)


async def test_answer_reason_and_counts(url: str) -> None:
    deltas = await collect(url, "good")
    assert joined(deltas) == ("", "Bees fly.")
    assert deltas[-1] == Delta(finish_reason="stop", tokens=TokenCounts(11, 7, 4))


@pytest.mark.parametrize("model", ["vllm-reasoning", "deepseek-reasoning", "both-in-one"])
async def test_reasoning_under_either_name(url: str, model: str) -> None:
    assert joined(await collect(url, model)) == ("Hmm.", "Yes.")


async def test_the_request_is_what_the_prompt_says(url: str, server: Server) -> None:
    prompt = Prompt((("system", "Be brief."), ("user", "Hi")), 20, 0.5, 0.9, seed=3, stop=("END",))
    await collect(url, "good", prompt, api_key="secret")
    assert server.keys[-1] == "Bearer secret"
    assert server.requests[-1] == {
        "model": "good",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 20,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("engine", "fields", "sent"),
    [
        ("openai", {"effort": "low"}, {"reasoning_effort": "low"}),
        ("openai", {"thinking": False}, {}),
        ("ollama", {"thinking": False}, {"reasoning_effort": "none"}),
        ("ollama", {"thinking": False, "effort": "low"}, {"reasoning_effort": "low"}),
        ("ollama", {"thinking": True}, {}),
        (
            "sglang",
            {"effort": "high"},
            {"reasoning_effort": "high", "chat_template_kwargs": {"reasoning_effort": "high"}},
        ),
        (
            "ovms",
            {"thinking": False},
            {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        ),
    ],
)
async def test_thinking_is_asked_for_in_the_servers_own_way(
    url: str, server: Server, engine: str, fields: dict[str, object], sent: dict[str, object]
) -> None:
    await collect(url, "good", replace(ASK, **fields), engine=engine)  # type: ignore[arg-type]
    request = server.requests[-1]
    assert {
        name: request[name] for name in ("reasoning_effort", "chat_template_kwargs") if name in request
    } == sent


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/", "/v3", "/v1/chat/completions"])
async def test_endpoint_with_and_without_version(url: str, suffix: str) -> None:
    assert joined(await collect(url + suffix, "good"))[1] == "Bees fly."


async def test_done_may_be_missing_but_not_the_reason(url: str) -> None:
    assert (await collect(url, "no-done"))[-1].finish_reason == "stop"
    with pytest.raises(ServiceError, match="without a finish reason"):
        await collect(url, "no-reason")


async def test_other_names_of_reasons(url: str) -> None:
    assert (await collect(url, "tgi"))[-1].finish_reason == "stop"


async def test_counts_are_never_invented(url: str) -> None:
    assert (await collect(url, "no-usage"))[-1] == Delta(finish_reason="length", tokens=None)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("cut", "vllm"),
        ("abort", "finish_reason 'abort'"),
        ("garbage", "not its protocol's"),
        ("error-chunk", "CUDA out of memory"),
        ("error-object", "EngineDeadError"),
        ("broken", "Internal Server Error"),
        ("no-key", "LLM_API_KEY"),
        ("forbidden", "LLM_API_KEY"),
        ("no-model", "LLM_MODEL_ID"),
    ],
)
async def test_failures_are_the_engines_and_name_it(url: str, model: str, words: str) -> None:
    with pytest.raises(RaglineError, match=words) as failure:
        await collect(url, model)
    assert failure.value.status >= 500
    assert "vllm" in failure.value.message


async def test_refusals_keep_their_meaning(url: str) -> None:
    with pytest.raises(ContextLengthExceeded, match="4096"):
        await collect(url, "too-long")
    with pytest.raises(InvalidRequest, match="top_p") as refusal:
        await collect(url, "bad-request")
    assert refusal.value.status == 400
    with pytest.raises(RateLimited) as busy:
        await collect(url, "busy")
    assert busy.value.retry_after == 7


async def test_closing_reaches_the_server(url: str, server: Server) -> None:
    engine = await create(ModelEntry(name="remote", engine="vllm", endpoint=url, model_id="endless"))
    stream = engine.generate(ASK)
    for _ in range(3):
        await anext(stream)
    start = time.monotonic()
    await stream.aclose()
    while not server.gone_at:
        assert time.monotonic() - start < 1, "the server still generates"
        await asyncio.sleep(0.01)
    await engine.close()


async def test_a_server_that_is_down(unused_tcp_port: int) -> None:
    address = f"http://127.0.0.1:{unused_tcp_port}"
    engine = await create(ModelEntry(name="remote", engine="ollama", endpoint=address, model_id="x"))
    with pytest.raises(ServiceUnavailable, match="ollama is down"):
        await engine.ready()
    with pytest.raises(ServiceUnavailable, match="ollama is down"):
        await anext(engine.generate(ASK))
    await engine.close()


async def test_ready_asks_the_server(url: str) -> None:
    engine = await create(ModelEntry(name="remote", engine="vllm", endpoint=url, model_id="good"))
    await engine.ready()
    await engine.close()
