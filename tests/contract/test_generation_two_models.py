"""Both in-process engines, each with two models at once: SmolLM2-135M and Qwen2.5-Coder-0.5B.

Over the generation service's HTTP, where a request's `model` picks one of the two. What one model already
shows (long prompts, concurrency, the event loop) is in `test_generation`; `test_generation_continuation`
has both models too.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI
from starlette.types import ASGIApp

from services.core.models.fetch import fetch
from services.generation.app import create
from services.generation.backend import Engine
from services.generation.configuration import SMALL
from services.generation.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

MODELS = {"tiny": "smollm2-135m-instruct", "small": SMALL.model_id}
LOAD_SECONDS = 600
"""The first start on a machine converts the model for openvino."""
WITHIN = 1.0
STORY = "Write a very long story about the sea."
COUNT = "Repeat: one two three four five six seven eight nine ten."
TAG = re.compile(r"</?think>")


@dataclass
class Answer:
    """A stream put together."""

    content: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    chunks: int = 0
    models: set[str] = field(default_factory=set)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = -1


@dataclass(frozen=True)
class Pair:
    """A generation service with both models on one engine."""

    engine: str
    app: FastAPI
    url: str
    session: aiohttp.ClientSession

    async def post(self, model: str, text: str, **fields: object) -> aiohttp.ClientResponse:
        body = {
            "messages": [{"role": "user", "content": text}],
            "model": model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 24,
            "temperature": 0,
            **fields,
        }
        headers = {"x-ragline-deadline-ms": "600000"}
        reply = await self.session.post(f"{self.url}/v1/chat/completions", json=body, headers=headers)
        assert reply.status == 200, await reply.text()
        return reply

    async def ask(self, model: str, text: str, **fields: object) -> Answer:
        answer = Answer()
        async with await self.post(model, text, **fields) as reply:
            async for line in reply.content:
                if line.startswith(b"data: {"):
                    _add(answer, orjson.loads(line[6:]))
        return answer

    def open(self, model: str) -> Engine:
        engine: Engine = self.app.state.registry._slots[model].loader.value.engine
        return engine


def _add(answer: Answer, chunk: dict[str, object]) -> None:
    answer.models.add(str(chunk["model"]))
    for choice in chunk["choices"]:  # type: ignore[attr-defined]
        answer.content += choice["delta"].get("content") or ""
        answer.reasoning += choice["delta"].get("reasoning_content") or ""
        answer.chunks += bool(choice["delta"].get("content"))
        answer.finish_reason = choice["finish_reason"] or answer.finish_reason
    if isinstance(usage := chunk.get("usage"), dict):
        answer.prompt_tokens, answer.completion_tokens = usage["prompt_tokens"], usage["completion_tokens"]
        answer.reasoning_tokens = usage["completion_tokens_details"]["reasoning_tokens"]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["openvino", "llamacpp"])
async def pair(
    request: pytest.FixtureRequest, serve: Callable[[ASGIApp], str], models_home: Path
) -> AsyncIterator[Pair]:
    fetch(SMALL.model_id, models_home)
    entries = [
        {"name": name, "engine": request.param, "model_id": model, "profile": "prompted", "max_context": 2048}
        for name, model in MODELS.items()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        settings = Settings(
            backends=orjson.dumps(entries).decode(), home=str(models_home), max_reasoning_tokens=0
        )
        app = create(settings)
        url = serve(app)
        async with aiohttp.ClientSession() as session:
            made = Pair(request.param, app, url, session)
            for name in MODELS:
                await until_open(made, name)
            yield made


async def until_open(pair: Pair, model: str) -> None:
    """A model that is being converted is a 503 with how far that is."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "model": model, "max_tokens": 1}
    headers = {"x-ragline-deadline-ms": "600000"}
    async with asyncio.timeout(LOAD_SECONDS):
        while True:
            async with pair.session.post(
                f"{pair.url}/v1/chat/completions", json=body, headers=headers
            ) as reply:
                if reply.status == 200:
                    return
                assert reply.status == 503, await reply.text()
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("model", MODELS)
async def test_streams_and_ends_with_reason_and_counts(pair: Pair, model: str) -> None:
    answer = await pair.ask(model, "List three colours of the rainbow.", max_tokens=7)
    assert answer.chunks >= 3
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 7)
    assert (answer.reasoning, answer.reasoning_tokens) == ("", 0)
    more = await pair.ask(model, "List three colours of the rainbow. " + "Hello there " * 50, max_tokens=1)
    assert more.prompt_tokens - answer.prompt_tokens >= 100


@pytest.mark.parametrize("model", MODELS)
async def test_stops_before_a_stop_string(pair: Pair, model: str) -> None:
    whole = (await pair.ask(model, COUNT)).content
    middle = whole[len(whole) // 2 : len(whole) // 2 + 4]
    answer = await pair.ask(model, COUNT, stop=[middle])
    assert answer.content == whole[: whole.index(middle)]
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("model", MODELS)
async def test_a_seed_repeats_a_sampled_answer(pair: Pair, model: str) -> None:
    if not pair.open(model).capabilities.seed:
        pytest.skip("promises nothing")
    said = [
        (await pair.ask(model, "Tell me a story about a fox.", temperature=1, seed=seed)).content
        for seed in (11, 11, 12, 13)
    ]
    assert said[0] == said[1]
    assert len(set(said)) > 1


@pytest.mark.parametrize("model", MODELS)
async def test_hanging_up_stops_that_model(pair: Pair, model: str) -> None:
    reply = await pair.post(model, STORY, max_tokens=1500)
    await reply.content.readuntil(b"\n\n")
    await reply.content.readuntil(b"\n\n")
    engine = pair.open(model)
    assert not engine.idle  # type: ignore[attr-defined]
    start = time.monotonic()
    reply.close()
    while not engine.idle:  # type: ignore[attr-defined]  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert time.monotonic() - start < WITHIN


@pytest.mark.parametrize("budget", [0, 48])
@pytest.mark.parametrize("model", MODELS)
async def test_prompted_thinking_within_its_budget(pair: Pair, model: str, budget: int) -> None:
    question = "A box holds 3 rows of 5 pens. How many pens are there?"
    answer = await pair.ask(model, question, max_reasoning_tokens=budget, max_tokens=96)
    assert answer.content.strip()
    assert answer.finish_reason in {"stop", "length"}
    assert not TAG.search(answer.content)
    assert bool(answer.reasoning) == (budget > 0)
    assert answer.reasoning_tokens <= budget + 1


async def test_a_request_picks_one_of_the_two(pair: Pair) -> None:
    question = "What is the capital of France?"
    first = {model: await pair.ask(model, question) for model in MODELS}
    again = {model: await pair.ask(model, question) for model in reversed(MODELS)}
    for model, answer in again.items():
        assert answer.models == {model}
        assert answer == first[model], "the other model has changed it"
    assert "Paris" in first["small"].content
    assert first["tiny"].prompt_tokens != first["small"].prompt_tokens
    async with pair.session.get(f"{pair.url}/v1/models") as reply:
        listed = {info["id"]: info for info in (await reply.json())["data"]}
    for name, model in MODELS.items():
        info = listed[name]
        assert (info["engine"], info["model_id"], info["ready"]) == (pair.engine, model, True)
        assert info["profile"] == "prompted"
