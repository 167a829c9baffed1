"""The generation service's routes over real HTTP: OpenAI's SDK, errors, limits, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import orjson
import pytest
from openai import AsyncOpenAI, NotFoundError
from starlette.types import ASGIApp

from services.generation.app import create
from services.generation.settings import Settings
from tests.own_time import OwnTime

Serve = Callable[[ASGIApp], str]

PASSAGES = "Passages:\n\n[1] Bees\nBees make honey. They dance.\n\n[2] Ants\nAnts dig.\n\nQuestion: What do bees make?"
ENTRIES = [
    {"name": "quick", "engine": "fake", "model_id": "org/quick-model"},
    {"name": "narrow", "engine": "fake", "model_id": "narrow", "max_context": 256},
    {"name": "dead", "engine": "vllm", "model_id": "gone", "endpoint": "http://127.0.0.1:9"},
    {
        "name": "backed",
        "engine": "vllm",
        "model_id": "gone",
        "endpoint": "http://127.0.0.1:9",
        "aliases": ["gpt-4o"],
        "fallback": ["quick"],
    },
]


@pytest.fixture(scope="module")
def url(serve: Serve) -> str:
    return serve(create(Settings(backends=orjson.dumps(ENTRIES).decode(), max_tokens=40)))


@pytest.fixture(scope="module")
def slow_url(serve: Serve) -> str:
    """One answer at a time takes seconds; one more may wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_TOKENS_PER_SECOND", "20")
        patch.setenv("FAKE_TOKENS", "60")
        patch.setenv("FAKE_REASONING_TOKENS", "3")
        app = create(Settings(engine="fake", backend="slow", server_concurrency=1, queue=1, max_tokens=100))
        return serve(app)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def body(text: str = PASSAGES, **fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], **fields}


async def test_sdk_reply(sdk: AsyncOpenAI) -> None:
    reply = await sdk.chat.completions.create(model="quick", messages=[{"role": "user", "content": PASSAGES}])
    assert reply.choices[0].message.content == "Bees make honey. [1]"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == "quick"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.completion_tokens == 4


async def test_sdk_stream(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="org/quick-model",
        messages=[{"role": "user", "content": PASSAGES}],
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=3,
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Bees make honey."
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["backed", "gpt-4o"])
async def test_a_fallback_answers_and_says_so(
    session: aiohttp.ClientSession, url: str, model: str, stream: bool
) -> None:
    payload = body(model=model, stream=stream)
    async with session.post(f"{url}/v1/chat/completions", json=payload) as reply:
        raw = await reply.read()
    assert reply.status == 200
    assert reply.headers["x-ragline-fallback"] == "backed -> quick"
    if not stream:
        whole = orjson.loads(raw)
        assert (whole["model"], whole["degraded"]) == ("quick", ["generation:backed"])
        return
    chunks = [orjson.loads(line[6:]) for line in raw.split(b"\n\n") if line.startswith(b"data: {")]
    assert {chunk["model"] for chunk in chunks} == {"quick"}
    told = [chunk for chunk in chunks if chunk.get("degraded") == ["generation:backed"]]
    assert told == [chunks[0], chunks[-1]]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_no_fallback_no_header(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(f"{url}/v1/chat/completions", json=body()) as reply:
        assert "x-ragline-fallback" not in reply.headers
        assert (await reply.json())["degraded"] == []


async def test_stream_ends_in_done_without_usage_unless_asked(
    session: aiohttp.ClientSession, url: str
) -> None:
    async with session.post(f"{url}/v1/chat/completions", json=body(stream=True)) as reply:
        assert reply.content_type == "text/event-stream"
        raw = await reply.read()
    assert raw.endswith(b"data: [DONE]\n\n")
    assert b'"usage"' not in raw


async def test_sdk_models_and_unknown_model(sdk: AsyncOpenAI) -> None:
    models = {model.id: model.model_dump() for model in (await sdk.models.list()).data}
    assert list(models) == ["quick", "narrow", "dead", "backed"]
    assert models["backed"]["aliases"] == ["gpt-4o"]
    assert models["backed"]["fallback"] == ["quick"]
    assert models["quick"]["capabilities"]["seed"]
    assert models["quick"]["default"]
    assert models["quick"]["ready"]
    assert models["quick"]["engine"] == "fake"
    assert not models["dead"]["ready"]
    assert "vllm is down" in models["dead"]["detail"]
    with pytest.raises(NotFoundError, match="choose one of quick, narrow, dead, backed"):
        await sdk.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize(
    ("payload", "status", "code"),
    [
        ({"messages": []}, 422, "invalid_request"),
        (body("   "), 422, "invalid_request"),
        (body(stop=[""]), 422, "invalid_request"),
        (body(temperature=9), 422, "invalid_request"),
        (body(max_tokens=0), 422, "invalid_request"),
        (body(model="nobody"), 404, "not_found"),
        (body("word " * 300, model="narrow"), 400, "context_length_exceeded"),
        (body(model="dead"), 503, "service_unavailable"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_before_the_first_token_has_a_status(
    session: aiohttp.ClientSession, url: str, payload: dict[str, object], status: int, code: str, stream: bool
) -> None:
    async with session.post(f"{url}/v1/chat/completions", json={**payload, "stream": stream}) as reply:
        error = (await reply.json())["error"]
    assert (reply.status, error["code"]) == (status, code)
    assert error["request_id"]


async def test_what_fails_later_is_an_error_event(serve: Serve, session: aiohttp.ClientSession) -> None:
    """A deadline that passes inside the stream: the answer takes 10 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_TOKENS_PER_SECOND", "10")
        patch.setenv("FAKE_TOKENS", "100")
        url = serve(create(Settings(engine="fake", deadline_seconds=0.5)))
    async with session.post(f"{url}/v1/chat/completions", json=body(stream=True, max_tokens=100)) as reply:
        raw = await reply.read()
    assert reply.status == 200
    *_, last = raw.rstrip().split(b"\n\n")
    assert last.startswith(b"event: error\ndata: ")
    assert orjson.loads(last.partition(b"data: ")[2])["error"]["code"] == "deadline_exceeded"
    assert b"[DONE]" not in raw


async def test_queue_is_bounded_and_hanging_up_frees_the_slot(
    slow_url: str, session: aiohttp.ClientSession
) -> None:
    async def start() -> aiohttp.ClientResponse:
        return await session.post(f"{slow_url}/v1/chat/completions", json=body(stream=True))

    running = await start()
    (first,), (waiting,) = await asyncio.wait(
        [asyncio.ensure_future(start()) for _ in range(2)], return_when=asyncio.FIRST_COMPLETED
    )
    refused = await first
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "LLM_QUEUE" in (await refused.json())["error"]["message"]
    assert not waiting.done()
    hung_up = OwnTime()
    running.close()
    second = await waiting
    assert second.status == 200
    assert hung_up.seconds() < 1
    second.close()


async def test_reasoning_is_a_channel_of_its_own_and_metrics_know(
    slow_url: str, session: aiohttp.ClientSession
) -> None:
    payload = body(stream=True, max_tokens=6, stream_options={"include_usage": True})
    async with session.post(f"{slow_url}/v1/chat/completions", json=payload) as reply:
        events = [line[6:] for line in (await reply.read()).split(b"\n\n") if line.startswith(b"data: {")]
    chunks = [orjson.loads(event) for event in events]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Thinking on on"
    assert "".join(delta.get("content", "") for delta in deltas) == "Bees make honey."
    assert chunks[-1]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}

    async with session.get(f"{slow_url}/metrics") as reply:
        lines = dict(line.rsplit(" ", 1) for line in (await reply.text()).splitlines() if line[0] != "#")
    labels = '{model="slow",service="generation"}'
    prefix = "ragline_generation_"
    first_token = float(lines[f"{prefix}time_to_first_token_seconds_sum{labels}"])
    first_output = float(lines[f"{prefix}time_to_first_output_seconds_sum{labels}"])
    whole = float(lines[f"{prefix}e2e_request_latency_seconds_sum{labels}"])
    per_token = float(lines[f"{prefix}time_per_output_token_seconds_sum{labels}"])
    assert float(lines[f"{prefix}time_to_first_token_seconds_count{labels}"]) == 1
    assert first_output - first_token == pytest.approx(0.15, abs=0.08), "three thoughts at 20 tokens/s"
    assert per_token == pytest.approx((whole - first_token) / 5)
    assert float(lines[f"{prefix}reasoning_tokens_total{labels}"]) == 3
    assert float(lines[f"{prefix}generation_tokens_total{labels}"]) == 6


async def test_ready_names_the_default_entry(url: str, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{url}/health/ready") as reply:
        state = await reply.json()
    assert reply.status == 200
    assert list(state["dependencies"]) == ["model quick"]
