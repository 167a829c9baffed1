"""What the `vllm` engine asks vLLM's server, and when it is ready.

The stand-in answers as `vllm/entrypoints/openai` documents: `/v1/models`, `/tokenize` (chat and text form),
`/v1/chat/completions`, `/v1/completions`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import orjson
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp

from services.core.errors import ServiceError, ServiceUnavailable
from services.generation.backend import Delta, Prompt, TokenCounts
from services.generation.backends.vllm import CAPABILITIES, Settings, VllmEngine
from services.generation.entries import ModelEntry

MODEL = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
ASK = Prompt(messages=(("user", "Do bees fly?"),), max_tokens=20, temperature=0.6, top_p=0.95)


class Server:
    """Remembers what it was asked, by path."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.app = FastAPI()
        self.app.get("/v1/models")(self.models)
        self.app.post("/tokenize")(self.tokenize)
        self.app.post("/v1/chat/completions")(self.chat)
        self.app.post("/v1/completions")(self.complete)

    async def models(self) -> dict[str, object]:
        return {"object": "list", "data": [{"id": MODEL, "max_model_len": 4096}]}

    async def tokenize(self, request: Request) -> dict[str, object]:
        body = await request.json()
        self.asked.append(("/tokenize", body))
        tokens = [1, 2, 3] if "messages" in body else [8, 9]
        return {"count": len(tokens), "max_model_len": 4096, "tokens": tokens}

    async def chat(self, request: Request) -> StreamingResponse:
        self.asked.append(("/v1/chat/completions", await request.json()))
        return self.stream({"delta": {"reasoning": "Hmm."}}, {"delta": {"content": "Yes."}})

    async def complete(self, request: Request) -> StreamingResponse:
        self.asked.append(("/v1/completions", await request.json()))
        return self.stream({"text": "Yes, "}, {"text": "they do."})

    def stream(self, *choices: dict[str, object]) -> StreamingResponse:
        last = {**dict.fromkeys(choices[-1], {} if "delta" in choices[-1] else ""), "finish_reason": "stop"}

        async def events() -> AsyncIterator[bytes]:
            for choice in (*choices, last):
                yield b"data: " + orjson.dumps({"choices": [{"index": 0, **choice}]}) + b"\n\n"
            usage = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
            yield b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\ndata: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], server: Server) -> str:
    return serve(server.app)


def engine(url: str, *, model_id: str = MODEL, budget: bool = False) -> VllmEngine:
    entry = ModelEntry(name="r1", engine="vllm", endpoint=url, model_id=model_id)
    return VllmEngine(entry, Settings(budget=budget))


async def deltas(url: str, prompt: Prompt, *, budget: bool = False) -> list[Delta]:
    subject = engine(url, budget=budget)
    try:
        return [delta async for delta in subject.generate(prompt)]
    finally:
        await subject.close()


def changed(**fields: object) -> Prompt:
    values = {"messages": ASK.messages, "max_tokens": 20, "temperature": 0.6, "top_p": 0.95, **fields}
    return Prompt(**values)  # type: ignore[arg-type]


async def test_reasoning_and_answer_are_two_channels(url: str) -> None:
    assert await deltas(url, ASK) == [
        Delta(reasoning="Hmm."),
        Delta(content="Yes."),
        Delta(finish_reason="stop", tokens=TokenCounts(5, 4)),
    ]


async def test_a_prefix_continues_what_the_chat_template_opened(url: str, server: Server) -> None:
    server.asked.clear()
    prompt = changed(prefix="Bees have wings.\n</think>\n\n", thinking=True, seed=4, stop=("END",))
    answer = "".join([delta.content for delta in await deltas(url, prompt)])
    assert answer == "Yes, they do."
    (_, opened), (_, text), (path, request) = server.asked
    assert opened["messages"] == [{"role": "user", "content": "Do bees fly?"}]
    assert opened["add_generation_prompt"] is True
    assert opened["chat_template_kwargs"] == {"enable_thinking": True, "thinking": True}
    assert text == {"model": MODEL, "prompt": prompt.prefix, "add_special_tokens": False}
    assert path == "/v1/completions"
    assert request["prompt"] == [1, 2, 3, 8, 9]
    assert (request["seed"], request["stop"], request["max_tokens"]) == (4, ["END"], 20)
    assert "chat_template_kwargs" not in request


@pytest.mark.parametrize("budget", [True, False])
async def test_a_thinking_budget_only_where_the_server_takes_it(
    url: str, server: Server, budget: bool
) -> None:
    server.asked.clear()
    await deltas(url, changed(max_reasoning_tokens=0), budget=budget)
    assert server.asked[0][1].get("thinking_token_budget") == (0 if budget else None)
    assert engine(url, budget=budget).capabilities.native_budget is budget
    assert CAPABILITIES.native_budget


@pytest.mark.parametrize("thinking", [True, False])
async def test_the_template_is_told_whether_to_think(url: str, server: Server, thinking: bool) -> None:
    server.asked.clear()
    await deltas(url, changed(thinking=thinking))
    assert server.asked[0][1]["chat_template_kwargs"] == {"enable_thinking": thinking, "thinking": thinking}


async def test_an_effort_goes_to_the_server_and_to_the_template(url: str, server: Server) -> None:
    server.asked.clear()
    await deltas(url, changed(effort="low"))
    assert server.asked[0][1]["reasoning_effort"] == "low"
    assert server.asked[0][1]["chat_template_kwargs"] == {"reasoning_effort": "low"}


async def test_nothing_extra_is_sent_unasked(url: str, server: Server) -> None:
    server.asked.clear()
    await deltas(url, ASK)
    assert set(server.asked[0][1]) == {
        *("model", "messages", "max_tokens", "temperature", "top_p", "stream", "stream_options")
    }


async def test_ready_where_it_serves_the_entrys_model(url: str) -> None:
    subject = engine(url)
    await subject.ready()
    await subject.close()


async def test_not_ready_where_it_serves_another_model(url: str) -> None:
    subject = engine(url, model_id="meta-llama/Llama-3.1-8B-Instruct")
    with pytest.raises(ServiceUnavailable, match=f"serves {MODEL}, not meta-llama.*LLM_MODEL_ID"):
        await subject.ready()
    await subject.close()


async def test_a_server_without_tokenize_says_so(serve: Callable[[ASGIApp], str]) -> None:
    with pytest.raises(ServiceError, match="/tokenize"):
        await deltas(serve(FastAPI()), changed(prefix="Well,"))
