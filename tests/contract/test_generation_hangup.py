"""A client that hangs up, over real HTTP, with both real embedded engines: the engine stops within 1 s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from services.core.backends import UnknownBackend, load
from services.generation.app import create
from services.generation.backend import PACKAGE
from services.generation.settings import Settings

WITHIN = 1.0
LOAD_SECONDS = 120
FACTS = " ".join(f"Item {i} costs {i * 7 % 97} euros." for i in range(300))


@pytest.fixture(scope="module", params=["openvino", "llamacpp"])
def running(
    request: pytest.FixtureRequest, serve: Callable[[ASGIApp], str], models_home: Path
) -> tuple[FastAPI, str]:
    try:
        load(PACKAGE, request.param)
    except UnknownBackend as error:
        pytest.skip(error.message)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        app = create(
            Settings(engine=request.param, backend="tiny", model_id="smollm2-135m-instruct", max_context=4096)
        )
        return app, serve(app)


async def until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(LOAD_SECONDS):
        while (await session.get(f"{url}/health/ready")).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def idle(app: FastAPI) -> bool:
    return bool(app.state.registry._slots["tiny"].loader.value.engine.idle)


async def seconds_until_idle(app: FastAPI) -> float:
    start = time.monotonic()
    while not idle(app):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    return time.monotonic() - start


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("phase", ["prefill", "decode"])
async def test_hanging_up_stops_the_engine(running: tuple[FastAPI, str], phase: str, stream: bool) -> None:
    app, url = running
    text = f"{time.monotonic()} {FACTS}" if phase == "prefill" else "Write a very long story about the sea."
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 2000, "stream": stream}
    async with aiohttp.ClientSession() as session:
        await until_ready(session, url)
        request = asyncio.ensure_future(session.post(f"{url}/v1/chat/completions", json=body))
        if phase == "decode" and stream:
            reply = await request
            await reply.content.readuntil(b"\n\n")
            assert not idle(app)
            reply.close()
        else:
            await asyncio.sleep(0.5)
            assert not request.done()
            assert not idle(app)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        assert await seconds_until_idle(app) < WITHIN
        async with session.post(
            f"{url}/v1/chat/completions",
            json={"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3},
        ) as reply:
            assert (await reply.json())["usage"]["completion_tokens"] <= 3
