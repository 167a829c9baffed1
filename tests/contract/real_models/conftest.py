"""Generation services with real models, one for each embedded engine: all tests of this folder ask the same two.

Each has SmolLM2-135M and Qwen2.5-Coder-0.5B at once, `tiny` and `small`, made to think by a prompt. openvino's has
`tiny` under every reasoning profile besides, as `as-<profile>`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI

from services.core.models.fetch import fetch
from services.generation.app import create
from services.generation.backend import Engine
from services.generation.backends import openvino
from services.generation.configuration import SMALL
from services.generation.entries import ModelEntry
from services.generation.reasoning.profiles import PROFILES
from services.generation.settings import Settings
from tests.contract.conftest import running
from tests.own_time import OwnTime

ENGINES = ("openvino", "llamacpp")
MODELS = {"tiny": "smollm2-135m-instruct", "small": SMALL.model_id}
CONTEXT = 4096
ANSWER_TOKENS = 24
LOAD_SECONDS = 600
"""The first start on a machine fetches the model and converts it for openvino."""

WITHIN = 1.0
"""Seconds in which an engine stops when its client has gone, as `OwnTime` counts them."""

DEADLINE = {"x-ragline-deadline-ms": "600000"}


@dataclass
class Answer:
    """A stream put together; the times are the client's, in seconds from the request."""

    content: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    chunks: int = 0
    models: set[str] = field(default_factory=set)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int | None = -1
    first: float = field(default=0.0, compare=False)
    first_content: float = field(default=0.0, compare=False)
    end: float = field(default=0.0, compare=False)

    def add(self, chunk: dict[str, object], now: float) -> None:
        self.models.add(str(chunk["model"]))
        for choice in chunk["choices"]:  # type: ignore[attr-defined]
            delta = choice["delta"]
            if delta.get("reasoning_content") or delta.get("content"):
                self.first = self.first or now
            if delta.get("content"):
                self.first_content = self.first_content or now
                self.chunks += 1
            self.content += delta.get("content") or ""
            self.reasoning += delta.get("reasoning_content") or ""
            self.finish_reason = choice["finish_reason"] or self.finish_reason
        if isinstance(usage := chunk.get("usage"), dict):
            self.prompt_tokens, self.completion_tokens = usage["prompt_tokens"], usage["completion_tokens"]
            self.reasoning_tokens = usage["completion_tokens_details"]["reasoning_tokens"]


@dataclass(frozen=True)
class Service:
    """A generation service whose models are on one engine."""

    engine: str
    app: FastAPI
    url: str

    def open(self, model: str) -> Engine:
        engine: Engine = self.app.state.registry._slots[model].loader.value.engine
        return engine

    def is_idle(self, model: str) -> bool:
        return bool(self.open(model).idle)  # type: ignore[attr-defined]

    async def seconds_until_idle(self, model: str) -> float:
        clock = OwnTime()
        while not self.is_idle(model):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return clock.seconds()


@dataclass(frozen=True)
class Client:
    """Asks one of the services."""

    service: Service
    session: aiohttp.ClientSession

    async def post(self, model: str, text: str, **fields: object) -> aiohttp.ClientResponse:
        body = {
            "messages": [{"role": "user", "content": text}],
            "model": model,
            "stream": True,
            "stream_options": {"include_usage": True},
            **fields,
        }
        url = f"{self.service.url}/v1/chat/completions"
        reply = await self.session.post(url, json=body, headers=DEADLINE)
        assert reply.status == 200, await reply.text()
        return reply

    async def ask(self, model: str, text: str, **fields: object) -> Answer:
        answer, start = Answer(), time.perf_counter()
        async with await self.post(model, text, **fields) as reply:
            async for line in reply.content:
                if line.startswith(b"data: {"):
                    answer.add(orjson.loads(line[6:]), time.perf_counter() - start)
        answer.end = time.perf_counter() - start
        return answer


class Shared:
    """One loaded model behind every entry that has it, closed with the last of them."""

    def __init__(self, engine: Engine, users: list[str], name: str) -> None:
        self._engine, self._users, self._name = engine, users, name
        self.capabilities, self.ready, self.generate = engine.capabilities, engine.ready, engine.generate

    @property
    def idle(self) -> bool:
        return bool(self._engine.idle)  # type: ignore[attr-defined]

    async def close(self) -> None:
        self._users.remove(self._name)
        if not self._users:
            await self._engine.close()


def share(
    create_engine: Callable[[ModelEntry], Awaitable[Engine]],
) -> Callable[[ModelEntry], Awaitable[Engine]]:
    """Make an engine once for all entries of a model, because loading it for each would take minutes."""
    made: dict[str, Engine] = {}
    users: dict[str, list[str]] = {}

    async def shared(entry: ModelEntry) -> Engine:
        users.setdefault(entry.model_id, []).append(entry.name)
        if entry.model_id not in made:
            made[entry.model_id] = await create_engine(entry)
        return Shared(made[entry.model_id], users[entry.model_id], entry.name)

    return shared


def entries(engine: str) -> list[dict[str, str]]:
    thinking = {"engine": engine, "profile": "prompted"}
    found = [{"name": name, "model_id": model, **thinking} for name, model in MODELS.items()]
    if engine == "openvino":
        tiny = {"engine": engine, "model_id": MODELS["tiny"]}
        found += [{"name": f"as-{profile}", "profile": profile, **tiny} for profile in PROFILES]
    return found


@pytest.fixture(scope="session", params=ENGINES)
def service(request: pytest.FixtureRequest, models_home: Path) -> Iterator[Service]:
    fetch(SMALL.model_id, models_home)
    listed = entries(request.param)
    settings = Settings(
        backends=orjson.dumps(listed).decode(),
        home=str(models_home),
        max_context=CONTEXT,
        max_tokens=ANSWER_TOKENS,
        loaded_max=len(listed),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        patch.setattr(openvino, "create", share(openvino.create))
        app = create(settings)
        with running(app) as url:
            for model in MODELS:
                wait_until_open(url, model)
            yield Service(request.param, app, url)


def wait_until_open(url: str, model: str) -> None:
    """A model that is being converted is a 503 with how far that is."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "model": model, "max_tokens": 1}
    end = time.monotonic() + LOAD_SECONDS
    while True:
        reply = httpx.post(f"{url}/v1/chat/completions", json=body, headers=DEADLINE, timeout=LOAD_SECONDS)
        if reply.status_code == 200:
            return
        assert reply.status_code == 503, reply.text
        assert time.monotonic() < end, reply.text
        time.sleep(0.2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(service: Service) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(service, session)
