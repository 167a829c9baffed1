"""A generation service whose engine process dies: what its clients see. A stand-in computes."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import orjson
import pytest
from fastapi import FastAPI

from services.generation.app import create
from services.generation.backends import openvino
from services.generation.backends.openvino.engine import OpenVinoEngine
from services.generation.entries import ModelEntry
from services.generation.settings import EmbeddedSettings, Settings
from tests.contract.conftest import running
from tests.unit.generation.test_openvino_process import STAND_IN

LONG = {
    "messages": [{"role": "user", "content": "count"}],
    "model": "tiny",
    "max_tokens": 512,
    "stream": True,
}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, FastAPI]]:
    async def create_engine(entry: ModelEntry) -> OpenVinoEngine:
        return OpenVinoEngine(entry, EmbeddedSettings(), STAND_IN)

    monkeypatch.setattr(openvino, "create", create_engine)
    entries = [{"name": "tiny", "engine": "openvino", "model_path": str(tmp_path), "profile": "none"}]
    app = create(Settings(backends=orjson.dumps(entries).decode()))
    with running(app) as url:
        yield url, app


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_stream_ends_with_an_error_and_the_service_lives_on(
    service: tuple[str, FastAPI], session: aiohttp.ClientSession
) -> None:
    url, app = service
    chat = f"{url}/v1/chat/completions"
    async with session.post(chat, json=LONG) as reply:
        assert reply.status == 200, await reply.text()
        lines: list[str] = []
        async for line in reply.content:
            if line.strip():
                lines.append(line.decode().strip())
            if len(lines) == 3:
                os.kill(app.state.registry._slots["tiny"].loader.value.engine.pid, signal.SIGKILL)
    assert lines[-2] == "event: error"
    error = orjson.loads(lines[-1].removeprefix("data: "))["error"]
    assert (error["code"], error["service"]) == ("service_unavailable", "openvino")
    assert "engine process died of SIGKILL; it is started again" in error["message"]
    assert "data: [DONE]" not in lines
    async with session.get(f"{url}/health") as alive, session.get(f"{url}/health/ready") as ready:
        assert (alive.status, ready.status) == (200, 503)
        assert "loading" in await ready.text()
    async with session.post(chat, json={**LONG, "max_tokens": 3, "stream": False}) as reply:
        answer = await reply.json()
    assert answer["choices"][0]["message"]["content"] == "1 2 3"
    async with session.get(f"{url}/health/ready") as ready:
        assert ready.status == 200
